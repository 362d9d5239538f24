#include "tests/benchmark/context/planner_bench.h"

#include <time.h>

#include <chrono>
#include <stdexcept>
#include <thread>
#include <utility>

#include "tests/benchmark/context/bench_snapshot.h"
#include "tests/benchmark/context/timed_expert.h"
#include "tests/fakes/slow_observations.h"

namespace automot::benchmarks {
namespace {

using context::TensorKind;

constexpr uint64_t kSmallKey = 1, kLargeKey = 7;
constexpr uint32_t kEpisode = 1;
constexpr uint64_t kEpoch = 1;
constexpr std::chrono::minutes kPatience{1};
constexpr std::size_t kReadBytes = 2048;  // of a tensor
constexpr int kComputePasses = 400;       // about a tenth of a millisecond
constexpr int kUntimedTicks = 50;         // of each run: caches, and the context is fresh again

// 4 KiB of keys and values.
constexpr context::ContextLayout kSmall{
    .kind = context::ContextLayout::Kind::kFull,
    .element_type = context::ContextLayout::ElementType::kBFloat16,
    .layers = 1,
    .tokens = 8,
    .kv_heads = 2,
    .k_head_dim = 64,
    .v_head_dim = 64};

void Require(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(std::string(status.message()));
}

SessionTimeUs NowUs() { return NowNs() / 1000; }

double ThreadMicroseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return 1e6 * static_cast<double>(now.tv_sec) + 1e-3 * static_cast<double>(now.tv_nsec);
}

struct Prepared final : planning::PreparedContext {
  explicit Prepared(context::SnapshotPtr of) : snapshot(std::move(of)) {}
  const context::SnapshotPtr snapshot;
};

}  // namespace

// Reads 4 KiB of the context and computes for a tenth of a millisecond on data of its own.
class PlannerBench::Expert final : public planning::ActionExpert {
 public:
  Expert() {
    info_.model_revision = kBenchRevision;
    data_.assign(4096, 1.0F);
  }
  const planning::ActionExpertInfo& info() const override { return info_; }
  absl::StatusOr<std::unique_ptr<const planning::PreparedContext>> Prepare(
      context::SnapshotPtr snapshot) const override {
    return std::make_unique<Prepared>(std::move(snapshot));
  }
  absl::Status WarmUp(int) override { return absl::OkStatus(); }
  absl::Status Plan(const planning::PlanFeatures&, const planning::PreparedContext& context,
                    planning::PlanOutput* output) override {
    const context::KvBuffer& kv = static_cast<const Prepared&>(context).snapshot->kv;
    float sum = 0;
    for (const TensorKind tensor : {TensorKind::kKey, TensorKind::kValue}) {
      for (const std::byte byte : kv.Tensor(0, tensor).first(kReadBytes)) {
        sum += static_cast<float>(byte);
      }
    }
    for (int pass = 0; pass < kComputePasses; ++pass) {
      for (float& value : data_) value = 0.5F * value + 1e-9F * sum;
    }
    for (int i = 0; i < kRoutePoints; ++i) output->trajectory.route[i] = {1.0 + i, 1e-9 * data_[0]};
    for (int i = 0; i < kWaypoints; ++i) output->trajectory.waypoints[i] = {1.0 + i, 0.0};
    return absl::OkStatus();
  }

 private:
  planning::ActionExpertInfo info_;
  std::vector<float> data_;
};

// Between loop and pipeline: when each tick ended, and what it took.
class PlannerBench::TimedTick final : public planning::PlanTick {
 public:
  explicit TimedTick(planning::PlanTick* tick) : tick_(tick) {}
  Outcome Run(planning::PlanWork& work, bool may_park) override {
    const double cpu = ThreadMicroseconds();
    const int64_t begin = NowNs();
    const Outcome outcome = tick_->Run(work, may_park);
    end_ns = NowNs();
    tick_us = 1e-3 * static_cast<double>(end_ns - begin);
    tick_cpu_us = ThreadMicroseconds() - cpu;
    fallback = work.result.reasons.Has(Reason::kFallback);
    return outcome;
  }
  // Of the last tick; read once it is answered.
  int64_t end_ns = 0;
  double tick_us = 0, tick_cpu_us = 0;
  bool fallback = false;

 private:
  planning::PlanTick* const tick_;
};

PlannerBench::PlannerBench(std::unique_ptr<context::SnapshotChannel> channel, int core)
    : expert_(std::make_unique<Expert>()), channel_(std::move(channel)) {
  constexpr uint32_t kSessions = 2;
  auto store =
      planning::ContextStore::Create({.sessions = kSessions,
                                      .retained = 2,
                                      .readers = planning::PlanPipeline::ReadersNeeded(kSessions),
                                      .pins_per_reader = planning::PlanPipeline::kPinsPerReader});
  Require(store.status());
  store_ = *std::move(store);
  auto pipeline = planning::PlanPipeline::Create(store_.get(), expert_.get(), &metrics_, kSessions);
  Require(pipeline.status());
  pipeline_ = *std::move(pipeline);
  small_ = OpenSession(kSmallKey);
  large_ = OpenSession(kLargeKey);
  timed_ = std::make_unique<TimedTick>(pipeline_.get());
  loop_ = std::make_unique<planning::PlanningLoop>(
      planning::PlanningLoop::Options{.pinned_core = core}, timed_.get(), &clock_);
  Require(channel_->Attach({.session = kLargeKey,
                            .episode = kEpisode,
                            .epoch = kEpoch,
                            .session_name = "bench",
                            .layout_kind = kFullPublished.kind,
                            .lossless = true,
                            .model_revision = kBenchRevision},
                           this));
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, kPatience, [this] { return up_; })) {
    throw std::runtime_error("no link within a minute");
  }
}

PlannerBench::~PlannerBench() { channel_->Detach(kLargeKey); }

std::shared_ptr<planning::Session> PlannerBench::OpenSession(uint64_t key) {
  planning::SessionOptions options;
  options.planning_rate_hz = 20.0;
  options.reasoning_rate_hz = 2.0;
  const context::SessionHandle handle = store_->Open(key, kEpisode).value();
  Require(store_->Fence(handle, kEpoch));
  auto session =
      std::make_shared<planning::Session>("car" + std::to_string(key), "", key, handle, options,
                                          lidar::HistogramBuilder::Create().value());
  session->epoch_in_force = kEpoch;
  return session;
}

void PlannerBench::Store(const planning::Session& session, context::SnapshotPtr snapshot) {
  auto prepared = expert_->Prepare(snapshot);
  Require(prepared.status());
  const context::VersionInfo info{snapshot->header.id, snapshot->header.capture_time_us,
                                  snapshot->header.capture_time_us};
  store_->Publish(session.store_handle, info, {std::move(snapshot), *std::move(prepared)});
}

void PlannerBench::PublishSmall() {
  auto snapshot = std::make_shared<context::ContextSnapshot>();
  snapshot->header.id = {kSmallKey, kEpisode, kEpoch, ++small_version_};
  snapshot->header.capture_time_us = NowUs();
  snapshot->header.model_revision = kBenchRevision;
  snapshot->header.layout = kSmall;
  auto buffer = pool_.Acquire(kSmall);
  Require(buffer.status());
  snapshot->kv = *std::move(buffer);
  StampVersion(snapshot->kv.Tensor(0, TensorKind::kKey), small_version_);
  Store(*small_, std::move(snapshot));
}

void PlannerBench::PublishEveryMillisecond(const std::atomic<bool>& done) {
  auto next = std::chrono::steady_clock::now();
  while (!done) {
    PublishSmall();
    std::this_thread::sleep_until(next += std::chrono::milliseconds(1));
  }
}

void PlannerBench::OnSnapshot(context::SnapshotPtr snapshot) {
  Store(*large_, std::move(snapshot));
  {
    const std::lock_guard lock(mutex_);
    ++arrived_;
    changed_.notify_all();
    if (!transferring_) return;
    ++asked_;
  }
  AskForSnapshot();
}

void PlannerBench::OnRefreshFailed(uint64_t, SessionTimeUs, const absl::Status& why) {
  const std::lock_guard lock(mutex_);
  failure_ = why;
  changed_.notify_all();
}

void PlannerBench::OnLinkState(context::LinkState state, const absl::Status&) {
  const std::lock_guard lock(mutex_);
  up_ = state == context::LinkState::kUp;
  changed_.notify_all();
}

void PlannerBench::AskForSnapshot() {
  Require(channel_->Submit(fakes::SlowObservationAt(kLargeKey, NowUs(), 1)));
}

// Returns with snapshots on their way, one behind the other.
void PlannerBench::BeginTransfer() {
  std::unique_lock lock(mutex_);
  asked_ = 2;
  arrived_ = 0;
  transferring_ = true;
  for (int i = 0; i < 2; ++i) {
    lock.unlock();
    AskForSnapshot();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // of another capture time
    lock.lock();
  }
  changed_.wait_for(lock, kPatience, [this] { return arrived_ >= 1 || !failure_.ok(); });
  Require(failure_);
}

void PlannerBench::EndTransfer() {
  std::unique_lock lock(mutex_);
  transferring_ = false;
  changed_.wait_for(lock, kPatience, [this] { return arrived_ == asked_ || !failure_.ok(); });
  Require(failure_);
}

int64_t PlannerBench::Plan(const std::shared_ptr<planning::Session>& session, int tick) {
  auto work = std::make_unique<planning::PlanWork>();
  work->session = session;
  work->sequence = static_cast<uint64_t>(tick) + 1;
  work->episode = kEpisode;
  work->capture_time_us = NowUs();
  work->ego.capture_time_us = work->capture_time_us;
  work->ego.speed_mps = 5.0;
  work->ego.pose = Pose2{};
  work->target = {.current = {10.0, 0.0}, .next = {20.0, 0.0}};
  work->done = [this](planning::PlanWork&) { answered_.release(); };
  work->arrived = clock_.Now();
  work->enqueued = work->arrived;
  absl::Duration retry_after;
  const int64_t submitted_ns = NowNs();
  Require(loop_->Submit(work, &retry_after));
  answered_.acquire();
  return submitted_ns;
}

TickTimes PlannerBench::Run(PlannerArm arm, int ticks) {
  PublishSmall();
  const auto& session = arm == PlannerArm::kTransfer ? large_ : small_;
  const uint64_t version = small_version_;
  std::atomic<bool> done{false};
  std::thread publisher;
  if (arm == PlannerArm::kPublishes) {
    publisher = std::thread([this, &done] { PublishEveryMillisecond(done); });
  }
  if (arm == PlannerArm::kTransfer) BeginTransfer();
  for (int tick = 0; tick < kUntimedTicks; ++tick) {
    if (tick % 10 == 0 && arm == PlannerArm::kNone) PublishSmall();
    Plan(session, tick);
  }
  TickTimes times;
  for (int tick = 0; tick < ticks; ++tick) {
    const int64_t submitted_ns = Plan(session, tick);
    times.latency_us.push_back(1e-3 * static_cast<double>(timed_->end_ns - submitted_ns));
    times.tick_us.push_back(timed_->tick_us);
    times.tick_cpu_us.push_back(timed_->tick_cpu_us);
    times.fallbacks += timed_->fallback ? 1 : 0;
  }
  done = true;
  if (publisher.joinable()) publisher.join();
  if (arm == PlannerArm::kTransfer) EndTransfer();
  times.published = static_cast<int>(small_version_ - version);
  times.arrived = arm == PlannerArm::kTransfer ? arrived_ : 0;
  return times;
}

}  // namespace automot::benchmarks
