// What our code does within a tick, from the decoded request to the filled result, the model
// excluded: no heap, no lock, no wait, no voluntary switch (design 6 and semantics 5). With the
// positive control: a tick that does such a thing on purpose is seen.
#include <latch>

#include "services/planning/plan_pipeline.h"
#include "tests/support/tick_guard.h"
#include "tests/unit/services/planning/engine_fixture.h"

namespace automot::planning {
namespace {

using test_support::TickGuard;
using test_support::TickReport;

#define SKIP_WITHOUT_COUNTS() \
  if (!TickGuard::supported()) GTEST_SKIP() << "sanitizers replace what the guard counts"

void ExpectNothing(const TickReport& report) {
  EXPECT_EQ(report.heap_calls, 0U) << report.ToString();
  EXPECT_EQ(report.lock_calls, 0U) << report.ToString();
  EXPECT_EQ(report.wait_calls, 0U) << report.ToString();
  EXPECT_EQ(report.voluntary_switches, 0U) << report.ToString();
}

// A store and a pipeline without a loop around them, so that a test's own thread is the planning
// thread.
class PlanPipelineTickTest : public ::testing::Test {
 protected:
  void SetUp() override { Make(&metrics_); }

  void Make(PlanningMetrics* metrics) {
    pipeline_.reset();
    store_ = ContextStore::Create({.sessions = 4,
                                   .readers = PlanPipeline::ReadersNeeded(4),
                                   .pins_per_reader = PlanPipeline::kPinsPerReader})
                 .value();
    pipeline_ = PlanPipeline::Create(store_.get(), &expert_, metrics, 4).value();
    SessionOptions options = OptionsOf(TimeMode::kRealtime);
    options.run_controller = true;
    const context::SessionHandle handle = store_->Open(kKey, 1).value();
    ASSERT_TRUE(store_->Fence(handle, kEpoch).ok());
    session_ = std::make_shared<Session>("car", "", kKey, handle, options,
                                         lidar::HistogramBuilder::Create().value());
    session_->epoch_in_force = kEpoch;
  }

  void Publish(uint64_t version, SessionTimeUs capture_us) {
    auto snapshot = std::make_shared<context::ContextSnapshot>();
    snapshot->header.id = {kKey, 1, kEpoch, version};
    snapshot->header.capture_time_us = capture_us;
    snapshot->header.model_revision = "fake-revision";
    snapshot->header.prompt.pose = Pose2{};
    snapshot->decision.emplace();
    auto prepared = expert_.Prepare(snapshot).value();
    store_->Publish(session_->store_handle, {snapshot->header.id, capture_us, capture_us},
                    {snapshot, std::move(prepared)});
  }

  std::unique_ptr<PlanWork> WorkAt(SessionTimeUs time_us) {
    auto work = std::make_unique<PlanWork>();
    const Observation seen = SeenAt(time_us);
    work->session = session_;
    work->episode = 1;
    work->capture_time_us = time_us;
    work->ego = seen.ego;
    work->target = seen.target;
    work->camera = seen.camera_frames[0];
    return work;
  }

  // Counts `ticks` runs after a warm-up; `edit` shapes the work of each.
  TickReport Count(PlanTick& tick, const std::function<void(PlanWork&)>& edit = nullptr,
                   int ticks = 1000) {
    std::vector<std::unique_ptr<PlanWork>> works;
    for (int i = 0; i < ticks + 10; ++i) {
      works.push_back(WorkAt(100'000 + i));
      if (edit) edit(*works.back());
    }
    for (int i = 0; i < 10; ++i) tick.Run(*works[i], false);
    const TickGuard guard;
    for (int i = 10; i < ticks + 10; ++i) tick.Run(*works[i], false);
    const TickReport report = guard.report();
    last_ = works.back()->result;
    return report;
  }

  // Publishes without pause on a thread of its own while `count` runs.
  template <typename Counted>
  auto BesideAPublisher(Counted count) {
    std::atomic<bool> done{false};
    std::latch running(1);
    std::thread publisher([&] {
      for (uint64_t version = 2; !done; ++version) {
        Publish(version, static_cast<SessionTimeUs>(version));
        store_->Collect();
        if (version == 2) running.count_down();
      }
    });
    running.wait();
    auto result = count();
    done = true;
    publisher.join();
    return result;
  }

  static constexpr uint64_t kKey = 77, kEpoch = 5;
  PlanningMetrics metrics_;
  FakeActionExpert expert_;
  std::unique_ptr<ContextStore> store_;
  std::unique_ptr<PlanPipeline> pipeline_;
  std::shared_ptr<Session> session_;
  PlanResult last_;
};

TEST_F(PlanPipelineTickTest, APlanTakesNoHeapNoLockAndDoesNotWait) {
  SKIP_WITHOUT_COUNTS();
  Publish(1, 0);
  const TickReport report = Count(*pipeline_);
  ExpectNothing(report);
  EXPECT_EQ(report.minor_faults + report.major_faults, 0U) << report.ToString();
  EXPECT_EQ(last_.snapshot.version, 1U);
  EXPECT_TRUE(last_.control && last_.travel && last_.decision && last_.context_decision);
}

TEST_F(PlanPipelineTickTest, NeitherDoesTheFallback) {
  SKIP_WITHOUT_COUNTS();
  ExpectNothing(Count(*pipeline_));
  EXPECT_TRUE(last_.reasons.Has(Reason::kFallback) && last_.reasons.Has(Reason::kNoContext));
  Publish(1, -1'500'000);
  ExpectNothing(Count(*pipeline_));
  EXPECT_TRUE(last_.reasons.Has(Reason::kFallback) && last_.reasons.Has(Reason::kExpired));
}

TEST_F(PlanPipelineTickTest, NorDoRefusalsParkingAndEveryChoiceOfContext) {
  SKIP_WITHOUT_COUNTS();
  Publish(1, 0);
  ExpectNothing(Count(*pipeline_, [](PlanWork& work) {
    work.choice = {ContextChoice::Kind::kExactly, {kKey, 1, kEpoch, 1}};
  }));
  EXPECT_EQ(last_.snapshot.version, 1U);
  ExpectNothing(Count(*pipeline_, [](PlanWork& work) {
    work.choice = {ContextChoice::Kind::kExactly, {kKey, 1, kEpoch, 2}};
  }));
  EXPECT_EQ(last_.failure, PlanFailure::kContextNotFound);
  ExpectNothing(Count(*pipeline_, [](PlanWork& work) {
    work.choice = {ContextChoice::Kind::kAtLeast, {.version = 2}};
  }));
  EXPECT_EQ(last_.failure, PlanFailure::kContextTooOld);
  ExpectNothing(Count(*pipeline_, [](PlanWork& work) { work.episode = 2; }));
  EXPECT_EQ(last_.failure, PlanFailure::kEpisodeEnded);
  ExpectNothing(Count(*pipeline_, [](PlanWork& work) {
    work.capture_time_us += 2'000'000;
    work.on_expired = OnExpired::kReject;
  }));
  EXPECT_EQ(last_.failure, PlanFailure::kExpired);

  auto waits = WorkAt(100'000);
  waits->required_capture_us = 100'000;
  const TickGuard guard;
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(pipeline_->Run(*waits, true), PlanTick::Outcome::kPark);
  }
  ExpectNothing(guard.report());
}

TEST_F(PlanPipelineTickTest, APublisherThatNeverRestsDoesNotHoldIt) {
  SKIP_WITHOUT_COUNTS();
  Publish(1, 0);
  ExpectNothing(BesideAPublisher([&] { return Count(*pipeline_, nullptr, 5000); }));
  EXPECT_GT(last_.snapshot.version, 0U);
}

// On the planning thread itself: runs a tick between two counts.
class CountedTick final : public PlanTick {
 public:
  explicit CountedTick(PlanTick* tick) : tick_(tick) {}
  Outcome Run(PlanWork& work, bool may_park) override {
    // From the start of the tick before, so that queue, answer and wake-up are in it.
    if (ran_ == kWarmUp) guard_.emplace();
    if (ran_++ > kWarmUp) report_ = guard_->report();
    if (ran_ == 1) gate_.Pass();
    return tick_->Run(work, may_park);
  }
  fakes::Gate& gate() { return gate_; }
  const TickReport& report() const { return report_; }
  int ran() const { return ran_; }

 private:
  static constexpr int kWarmUp = 20;
  PlanTick* const tick_;
  fakes::Gate gate_;
  std::optional<TickGuard> guard_;
  TickReport report_;
  int ran_ = 0;
};

TEST_F(PlanPipelineTickTest, FromQueueToAnswerThePlanningThreadDoesNotBlock) {
  SKIP_WITHOUT_COUNTS();
  Publish(1, 0);
  ManualClock clock;
  CountedTick counted(pipeline_.get());
  constexpr int kPlans = 800;
  std::latch answered(kPlans);
  {
    PlanningLoop loop({.queue_capacity = 1024, .session_capacity = 1024}, &counted, &clock);
    counted.gate().Close();
    BesideAPublisher([&] {
      for (int i = 0; i < kPlans; ++i) {
        std::unique_ptr<PlanWork> work = WorkAt(100'000 + i);
        work->done = [&](PlanWork&) { answered.count_down(); };
        absl::Duration retry_after;
        EXPECT_TRUE(loop.Submit(work, &retry_after).ok());
      }
      counted.gate().Open();  // with all of them queued there is nothing to sleep for
      answered.wait();
      return 0;
    });
  }
  EXPECT_EQ(counted.ran(), kPlans);
  ExpectNothing(counted.report());
}

// ---- Dose and response: the slow path takes 0.05, 0.5 or 5 s of session time, or never ends. ----

// A slow expert in the test's hands: it computes until it is told that its time has passed, then it
// publishes, on a thread of its own.
class GatedSlowPath {
 public:
  explicit GatedSlowPath(std::function<void(SessionTimeUs)> publish)
      : publish_(std::move(publish)), thread_([this] { Run(); }) {}
  ~GatedSlowPath() {
    Tell([this] { ended_ = true; });
    thread_.join();
  }

  // It works on `capture_us` until `due_us`.
  void Begin(SessionTimeUs capture_us, SessionTimeUs due_us) {
    Tell([&] { capture_us_ = capture_us; });
    due_us_ = due_us;
  }
  bool computing() const { return due_us_.has_value(); }
  // Lets it publish once its time has passed.
  void AdvanceTo(SessionTimeUs now_us) {
    if (!due_us_ || *due_us_ > now_us) return;
    Tell([this] { passed_ = true; });
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !passed_; });
    due_us_.reset();
  }

 private:
  template <typename Change>
  void Tell(Change change) {
    const std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }
  void Run() {
    std::unique_lock lock(mutex_);
    while (!ended_) {
      changed_.wait(lock, [this] { return passed_ || ended_; });
      if (!passed_) return;
      publish_(capture_us_);
      passed_ = false;
      changed_.notify_all();
    }
  }

  const std::function<void(SessionTimeUs)> publish_;
  std::mutex mutex_;
  std::condition_variable changed_;
  SessionTimeUs capture_us_ = 0;
  bool passed_ = false, ended_ = false;
  std::optional<SessionTimeUs> due_us_;  // the planning side's
  std::thread thread_;
};

TEST_F(PlanPipelineTickTest, TheCountsOfAPlanAreTheSameWhateverTheSlowPathTakes) {
  SKIP_WITHOUT_COUNTS();
  constexpr SessionTimeUs kTickUs = 50'000, kNever = INT64_MAX / 2;
  constexpr int kTicks = 600;
  std::vector<uint64_t> contexts;  // that each dose brought
  for (const SessionTimeUs latency_us :
       {SessionTimeUs{50'000}, SessionTimeUs{500'000}, SessionTimeUs{5'000'000}, kNever}) {
    SCOPED_TRACE(testing::Message() << "slow latency " << latency_us << " us");
    Make(&metrics_);
    Publish(1, 0);
    uint64_t version = 1;
    GatedSlowPath slow([&](SessionTimeUs capture_us) { Publish(++version, capture_us); });
    std::vector<std::unique_ptr<PlanWork>> works;
    for (int i = 1; i <= kTicks; ++i) works.push_back(WorkAt(i * kTickUs));
    pipeline_->Run(*WorkAt(1), false);  // lazily bound symbols
    for (const std::unique_ptr<PlanWork>& work : works) {
      slow.AdvanceTo(work->capture_time_us);
      if (!slow.computing()) {
        slow.Begin(work->capture_time_us, work->capture_time_us + latency_us);
      }
      const TickGuard guard;
      const PlanTick::Outcome outcome = pipeline_->Run(*work, false);
      const TickReport report = guard.report();
      ASSERT_EQ(outcome, PlanTick::Outcome::kAnswered);
      ASSERT_NO_FATAL_FAILURE(ExpectNothing(report)) << "at " << work->capture_time_us;
    }
    contexts.push_back(version);
    EXPECT_EQ(works.back()->result.reasons.Has(Reason::kFallback), latency_us > 1'000'000);
  }
  EXPECT_GT(contexts[0], contexts[1]);
  EXPECT_GT(contexts[1], contexts[2]);
  EXPECT_EQ(contexts[3], 1U) << "a slow path that never ends";
}

// ---- The positive controls: same harness, one fault each. ----

class LockingMetrics final : public PlanningMetrics {
 public:
  void ObserveTick(const PlanWork&) override { const std::lock_guard lock(mutex_); }

 private:
  std::mutex mutex_;
};

class AllocatingMetrics final : public PlanningMetrics {
 public:
  void ObserveTick(const PlanWork& work) override {
    text_ = std::make_unique<std::string>(absl::StrCat("a label of session ", work.session->name));
  }

 private:
  std::unique_ptr<std::string> text_;
};

TEST_F(PlanPipelineTickTest, ControlALockInTheTickIsSeen) {
  SKIP_WITHOUT_COUNTS();
  LockingMetrics locking;
  Make(&locking);
  Publish(1, 0);
  EXPECT_GE(Count(*pipeline_).lock_calls, 1000U);
}

TEST_F(PlanPipelineTickTest, ControlAnAllocationInTheTickIsSeen) {
  SKIP_WITHOUT_COUNTS();
  AllocatingMetrics allocating;
  Make(&allocating);
  Publish(1, 0);
  EXPECT_GE(Count(*pipeline_).heap_calls, 1000U);
}

// A tick that reads its context under the lock that the publisher holds.
TEST_F(PlanPipelineTickTest, ControlATickThatWaitsForThePublisherIsSeen) {
  SKIP_WITHOUT_COUNTS();
  struct WaitingTick final : PlanTick {
    Outcome Run(PlanWork&, bool) override {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return published > 0; });
      --published;
      return Outcome::kAnswered;
    }
    std::mutex mutex;
    std::condition_variable changed;
    int published = 0;
  } waiting;
  std::atomic<bool> done{false};
  std::thread publisher([&] {
    while (!done) {
      {
        const std::lock_guard lock(waiting.mutex);
        if (waiting.published == 0) ++waiting.published;
      }
      waiting.changed.notify_one();
      std::this_thread::yield();
    }
  });
  const TickReport report = Count(waiting);
  done = true;
  publisher.join();
  EXPECT_GE(report.lock_calls, 1000U) << report.ToString();
  EXPECT_GE(report.wait_calls, 1U) << report.ToString();
  EXPECT_GE(report.voluntary_switches, 1U) << report.ToString();
}

}  // namespace
}  // namespace automot::planning
