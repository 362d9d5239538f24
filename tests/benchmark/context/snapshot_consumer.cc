#include "tests/benchmark/context/snapshot_consumer.h"

#include <stdexcept>
#include <string>
#include <utility>

#include "tests/benchmark/context/bench_snapshot.h"
#include "tests/benchmark/context/timed_expert.h"
#include "tests/fakes/slow_observations.h"

namespace automot::benchmarks {
namespace {

constexpr uint64_t kSession = 7;
constexpr uint32_t kEpisode = 1;
constexpr uint64_t kEpoch = 1;
constexpr SessionTimeUs kPeriodUs = 100'000;
constexpr std::chrono::minutes kPatience{1};

void Require(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(std::string(status.message()));
}

}  // namespace

SnapshotConsumer::SnapshotConsumer(std::unique_ptr<context::SnapshotChannel> channel)
    : store_(Store::Create({.sessions = 1, .retained = 2}).value()),
      session_(store_->Open(kSession, kEpisode).value()),
      channel_(std::move(channel)) {
  Require(store_->Fence(session_, kEpoch));
  Require(channel_->Attach({.session = kSession,
                            .episode = kEpisode,
                            .epoch = kEpoch,
                            .session_name = "bench",
                            .layout_kind = kFullPublished.kind,
                            .lossless = true,
                            .model_revision = kBenchRevision},
                           this));
  std::unique_lock lock(mutex_);
  WaitUntil([this] { return link_ == context::LinkState::kUp; }, lock);
}

SnapshotConsumer::~SnapshotConsumer() { channel_->Detach(kSession); }

void SnapshotConsumer::OnSnapshot(context::SnapshotPtr snapshot) {
  const auto bytes = static_cast<double>(snapshot->header.layout.payload_bytes());
  const int64_t computed_ns = TimeOf(snapshot->kv);
  const context::VersionInfo info{snapshot->header.id, snapshot->header.capture_time_us,
                                  snapshot->header.capture_time_us};
  const context::Rejection rejection = store_->Publish(session_, info, std::move(snapshot));
  const int64_t visible_ns = NowNs();
  const std::lock_guard lock(mutex_);
  ++arrived_;
  times_.bytes += bytes;
  times_.visible_ms.push_back(1e-6 * static_cast<double>(visible_ns - computed_ns));
  if (rejection != context::Rejection::kNone)
    failure_ = absl::InternalError("rejected by the store");
  changed_.notify_all();
}

void SnapshotConsumer::OnRefreshFailed(uint64_t, SessionTimeUs, const absl::Status& why) {
  const std::lock_guard lock(mutex_);
  failure_ = why;
  changed_.notify_all();
}

void SnapshotConsumer::OnLinkState(context::LinkState state, const absl::Status&) {
  const std::lock_guard lock(mutex_);
  link_ = state;
  changed_.notify_all();
}

void SnapshotConsumer::Submit() {
  time_us_ += kPeriodUs;
  Require(channel_->Submit(fakes::SlowObservationAt(kSession, time_us_, 1)));
}

void SnapshotConsumer::WaitUntil(const std::function<bool()>& condition,
                                 std::unique_lock<std::mutex>& lock) {
  const bool in_time =
      changed_.wait_for(lock, kPatience, [&] { return !failure_.ok() || condition(); });
  Require(failure_);
  if (!in_time) throw std::runtime_error("no snapshot and no link within a minute");
}

DeliveryTimes SnapshotConsumer::Run(int snapshots, int ahead) {
  std::unique_lock lock(mutex_);
  arrived_ = 0;
  times_ = {};
  const auto copied = static_cast<double>(channel_->stats().bytes_copied);
  const int64_t begin_ns = NowNs();
  for (int submitted = 0; arrived_ < snapshots;) {
    const int arrived = arrived_;
    lock.unlock();
    for (; submitted < std::min(snapshots, arrived + ahead); ++submitted) Submit();
    lock.lock();
    WaitUntil([&] { return arrived_ > arrived; }, lock);
  }
  times_.bytes_copied = static_cast<double>(channel_->stats().bytes_copied) - copied;
  times_.wall_s = 1e-9 * static_cast<double>(NowNs() - begin_ns);
  return times_;
}

}  // namespace automot::benchmarks
