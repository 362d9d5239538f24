// REALTIME, STEPPED, LOCKSTEP, simulated latency, and waiting on purpose (semantics 1 and 5).
#include "tests/unit/services/planning/engine_fixture.h"

namespace automot::planning {
namespace {

using ::testing::HasSubstr;

class TimeModesTest : public EngineTest {
 protected:
  // Parked until `time_us` is published; the answer.
  Answer PlanWithRefresh(SessionTimeUs time_us) {
    PendingAnswer pending = SendAt(time_us);
    EXPECT_TRUE(AwaitParked(1));
    EXPECT_FALSE(IsReady(pending));
    channel_.Publish(time_us);
    return Await(std::move(pending));
  }
};

TEST_F(TimeModesTest, RealtimeAnswersWithWhatThereIs) {
  Open();
  for (SessionTimeUs t = 0; t <= 400'000; t += 50'000) {
    EXPECT_TRUE(PlanAt(t).status.ok());
  }
  EXPECT_EQ(channel_.submitted().size(), 9U) << "each observation may be refreshed";
  for (const context::SlowObservationPtr& slow : channel_.submitted()) {
    EXPECT_FALSE(slow->history_only);
  }
}

TEST_F(TimeModesTest, InRealtimeTheNewestPlanOfAVehicleWins) {
  Open();
  Open("van", OptionsOf(TimeMode::kRealtime));
  channel_.Publish(0, nullptr, "car");
  channel_.Publish(0, nullptr, "van");
  HoldExpert();
  PendingAnswer running = SendAt(0);
  ASSERT_TRUE(gate_.WaitForArrivals(1));
  PendingAnswer older = SendAt(50'000);
  PendingAnswer newer = SendAt(100'000);
  PlanCall other = CallAt(50'000);
  other.session = "van";
  PendingAnswer of_another = Send(other);
  gate_.Open();
  EXPECT_TRUE(Await(std::move(running)).status.ok()) << "what runs is finished";
  const Answer superseded = Await(std::move(older));
  EXPECT_EQ(superseded.status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(superseded.status.message()),
              HasSubstr("plan 2 was superseded by a newer one of session 'car'"));
  EXPECT_TRUE(Await(std::move(newer)).status.ok());
  EXPECT_TRUE(Await(std::move(of_another)).status.ok());
  EXPECT_EQ(expert_.plans(), 3U);
}

TEST_F(TimeModesTest, ARateNearZeroIsOneRefreshForTheWholeEpisode) {
  SessionOptions options = OptionsOf(TimeMode::kStepped);
  options.reasoning_rate_hz = 1e-300;
  Open("car", options);
  EXPECT_EQ(PlanWithRefresh(0).result.snapshot.version, 1U);
  const PendingAnswer next = SendAt(50'000);
  EXPECT_TRUE(channel_.submitted().back()->history_only) << "no other refresh is due";
}

TEST_F(TimeModesTest, SteppedParksUntilTheDueRefreshSoThatStalenessIsBounded) {
  Open(TimeMode::kStepped);
  EXPECT_EQ(PlanWithRefresh(0).result.snapshot.version, 1U);
  for (SessionTimeUs t = 50'000; t < 500'000; t += 50'000) {
    const Answer answer = PlanAt(t);  // not parked: nothing is due
    EXPECT_EQ(answer.result.snapshot.version, 1U);
    EXPECT_TRUE(answer.result.reasons.empty());
  }
  const Answer second = PlanWithRefresh(500'000);
  EXPECT_EQ(second.result.snapshot.version, 2U);
  EXPECT_EQ(second.result.snapshot_capture_us, 500'000);
  const auto submitted = channel_.submitted();
  ASSERT_EQ(submitted.size(), 11U) << "every frame enters the history";
  for (size_t i = 0; i < submitted.size(); ++i) {
    EXPECT_EQ(submitted[i]->history_only, i != 0 && i != 10) << i;
  }
}

TEST_F(TimeModesTest, SteppedNeverSupersedes) {
  Open(TimeMode::kStepped);
  PendingAnswer first = SendAt(0);
  PendingAnswer second = SendAt(50'000);
  ASSERT_TRUE(AwaitParked(2));
  channel_.Publish(0);
  EXPECT_EQ(Await(std::move(first)).sequence, 1U);
  EXPECT_EQ(Await(std::move(second)).sequence, 2U);
}

TEST_F(TimeModesTest, AParkedSessionChangesNothingForAnother) {
  Open(TimeMode::kStepped);
  Open("van", OptionsOf(TimeMode::kRealtime));
  channel_.Publish(0, nullptr, "van");
  std::vector<PendingAnswer> parked;
  for (int i = 0; i < 20; ++i) parked.push_back(SendAt(0));
  ASSERT_TRUE(AwaitParked(20));
  // A deadline that leaves time for one tick only, were parked ones in front of it.
  for (SessionTimeUs t = 0; t < 20; ++t) {
    PlanCall call = CallAt(t * 50'000);
    call.session = "van";
    call.sequence = static_cast<uint64_t>(t) + 1;
    call.deadline = clock_.Now() + absl::Milliseconds(1);
    channel_.Publish(t * 50'000 + 1, nullptr, "van");  // wakes everything that is parked
    const Answer answer = Plan(call);
    EXPECT_TRUE(answer.status.ok()) << answer.status;
    EXPECT_FALSE(answer.IsFallback());
  }
  EXPECT_EQ(engine_->load().parked, 20U);
  EXPECT_EQ(expert_.plans(), 20U) << "looking at parked plans runs nothing";
  channel_.Publish(0, nullptr, "car");
  for (PendingAnswer& pending : parked) EXPECT_TRUE(Await(std::move(pending)).status.ok());
}

TEST_F(TimeModesTest, OneSessionCannotFillTheQueue) {
  Open(TimeMode::kStepped);
  std::vector<PendingAnswer> parked;
  for (int i = 0; i < 32; ++i) parked.push_back(SendAt(0));
  const Answer refused = PlanAt(0);
  EXPECT_EQ(refused.status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.status.message()),
              HasSubstr("session 'car' has 32 plans without an answer; the limit is 32"));
  EXPECT_GT(refused.retry_after, absl::ZeroDuration());
  channel_.Publish(0);
  for (PendingAnswer& pending : parked) EXPECT_TRUE(Await(std::move(pending)).status.ok());
}

TEST_F(TimeModesTest, ARefreshThatFailsParksNobodyForEver) {
  Open(TimeMode::kStepped);
  PendingAnswer first = SendAt(0);
  ASSERT_TRUE(AwaitParked(1));
  channel_.FailRefresh(0, absl::InternalError("out of memory"));
  const Answer none = Await(std::move(first));
  EXPECT_TRUE(none.Has(Reason::kNoContext) && none.IsFallback());

  EXPECT_EQ(PlanWithRefresh(500'000).result.snapshot_capture_us, 500'000);
  PendingAnswer second = SendAt(1'000'000);
  ASSERT_TRUE(AwaitParked(1));
  channel_.FailRefresh(123, absl::InternalError("of no refresh that was asked for"));
  channel_.FailRefresh(1'000'000, absl::AbortedError("the epoch ended"));
  EXPECT_FALSE(IsReady(second)) << "a new epoch brings it";
  channel_.FailRefresh(1'000'000, absl::InternalError("out of memory"));
  const Answer old = Await(std::move(second));
  EXPECT_EQ(old.result.snapshot_capture_us, 500'000) << "the old version keeps serving";
  EXPECT_TRUE(PlanAt(1'050'000).Has(Reason::kStale)) << "nor do later plans wait for it";
  EXPECT_EQ(PlanWithRefresh(1'500'000).result.snapshot_capture_us, 1'500'000);
}

TEST_F(TimeModesTest, ASnapshotThatCannotBeUsedParksNobodyForEver) {
  Open(TimeMode::kStepped);
  PendingAnswer pending = SendAt(0);
  ASSERT_TRUE(AwaitParked(1));
  channel_.Publish(
      0, [](context::ContextSnapshot& snapshot) { snapshot.header.model_revision = "another"; });
  EXPECT_TRUE(Await(std::move(pending)).Has(Reason::kNoContext));
}

TEST_F(TimeModesTest, AFailureOfTheEpisodeBeforeReleasesNothing) {
  Open(TimeMode::kStepped);
  PendingAnswer before = SendAt(0);
  ASSERT_TRUE(AwaitParked(1));
  channel_.FailRefresh(0, absl::InternalError("out of memory"));
  Await(std::move(before));
  ASSERT_TRUE(engine_->ResetSession("car", car_lease_).ok());
  EXPECT_EQ(PlanWithRefresh(0).result.snapshot.version, 1U);
}

TEST_F(TimeModesTest, ParkingIsBoundedByWallTime) {
  PlanningEngineOptions options;
  options.park_limit = absl::Seconds(2);
  Start(options);
  Open(TimeMode::kStepped);
  PendingAnswer pending = SendAt(0);
  ASSERT_TRUE(AwaitParked(1));
  clock_.Advance(absl::Seconds(2) - absl::Nanoseconds(1));
  engine_->NoticeCancellation();
  EXPECT_TRUE(AwaitParked(1) && !IsReady(pending));
  clock_.Advance(absl::Nanoseconds(1));
  engine_->NoticeCancellation();
  const Answer answer = Await(std::move(pending));
  EXPECT_TRUE(answer.IsFallback() && answer.Has(Reason::kNoContext));
  EXPECT_EQ(answer.result.parked_s, 2.0);
}

TEST_F(TimeModesTest, ALostForwardIsMadeUpByTheNextObservation) {
  Open(TimeMode::kStepped);
  PlanWithRefresh(0);
  channel_.set_submit_status(absl::ResourceExhaustedError("full"));
  const Answer unparked = PlanAt(500'000);
  EXPECT_EQ(unparked.result.snapshot_capture_us, 0);
  channel_.set_submit_status(absl::OkStatus());
  EXPECT_EQ(PlanWithRefresh(550'000).result.snapshot_capture_us, 550'000);
}

TEST_F(TimeModesTest, ANewProducerIsOfferedWhatTheOldOneTookAlong) {
  Open(TimeMode::kStepped);
  channel_.SetLink(context::LinkState::kUp);
  PendingAnswer pending = SendAt(0);
  ASSERT_TRUE(AwaitParked(1));
  ASSERT_EQ(channel_.submitted().size(), 1U);
  channel_.SetLink(context::LinkState::kUp);
  EXPECT_EQ(channel_.submitted().size(), 1U) << "the same producer has it";
  const int attaches = channel_.attaches();
  channel_.SetLink(context::LinkState::kDown, absl::UnavailableError("killed"));
  clock_.Advance(absl::Seconds(1));
  ASSERT_TRUE(Eventually([&] { return channel_.attaches() > attaches; }));
  channel_.SetLink(context::LinkState::kUp);
  ASSERT_EQ(channel_.submitted().size(), 2U);
  EXPECT_EQ(channel_.submitted()[1], channel_.submitted()[0]);
  EXPECT_FALSE(IsReady(pending));
  channel_.Publish(0);
  EXPECT_TRUE(Await(std::move(pending)).result.reasons.empty());
}

TEST_F(TimeModesTest, AnObservationBeforeTheFirstAttachmentIsOfferedToIt) {
  channel_.set_attach_status(absl::UnavailableError("still loading"));
  channel_.set_submit_status(absl::NotFoundError("not attached"));
  Open(TimeMode::kStepped);
  PendingAnswer pending = SendAt(0);
  ASSERT_TRUE(AwaitParked(1));
  channel_.set_submit_status(absl::OkStatus());
  channel_.set_attach_status(absl::OkStatus());
  clock_.Advance(absl::Seconds(1));
  ASSERT_TRUE(Eventually([&] { return channel_.attached(); }));
  channel_.SetLink(context::LinkState::kUp);
  EXPECT_EQ(channel_.submitted().size(), 2U);
  channel_.Publish(0);
  EXPECT_TRUE(Await(std::move(pending)).result.reasons.empty());
}

TEST_F(TimeModesTest, LockstepRefreshesEveryNthTick) {
  SessionOptions options = OptionsOf(TimeMode::kLockstep);
  options.lockstep_ticks = 3;
  Open("car", options);
  SessionTimeUs t = 0;
  for (uint64_t version = 1; version <= 3; ++version) {
    EXPECT_EQ(PlanWithRefresh(t).result.snapshot.version, version);
    for (int i = 0; i < 2; ++i) EXPECT_EQ(PlanAt(t += 50'000).result.snapshot.version, version);
    t += 50'000;
  }
}

TEST_F(TimeModesTest, InLockstepALostFrameIsAnErrorAndTheNextTickIsDue) {
  Open(TimeMode::kLockstep);
  PlanWithRefresh(0);
  channel_.set_submit_status(absl::ResourceExhaustedError("16 observations wait"));
  const Answer lost = PlanAt(50'000);
  EXPECT_EQ(lost.status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(PlanAt(100'000).status.code(), absl::StatusCode::kResourceExhausted);
  channel_.set_submit_status(absl::OkStatus());
  EXPECT_EQ(PlanWithRefresh(100'000).result.snapshot_capture_us, 100'000);
}

TEST_F(TimeModesTest, SimulatedLatencyShowsASnapshotExactlyAtItsTime) {
  SessionOptions options = OptionsOf(TimeMode::kStepped);
  options.simulated_latency_us = 300'000;
  Open("car", options);
  PendingAnswer early = SendAt(0);  // on_no_context = PARK
  ASSERT_TRUE(AwaitParked(1));
  channel_.Publish(0);  // published at once, visible at 300 ms
  EXPECT_TRUE(AwaitParked(1) && !IsReady(early));
  EXPECT_EQ(engine_->GetSessionStatus("car")->latest.version, 0U) << "not visible";
  PendingAnswer also_early = SendAt(299'999);
  ASSERT_TRUE(AwaitParked(2));
  const Answer visible = PlanAt(300'000);
  EXPECT_EQ(visible.result.snapshot.version, 1U);
  EXPECT_EQ(engine_->GetSessionStatus("car")->latest.version, 1U);
  clock_.Advance(absl::Seconds(10));
  engine_->NoticeCancellation();
  for (PendingAnswer* pending : {&early, &also_early}) {
    const Answer answer = Await(std::move(*pending));
    EXPECT_TRUE(answer.Has(Reason::kNoContext) && answer.IsFallback());
    EXPECT_FALSE(answer.Has(Reason::kContextFromFuture));
  }
}

// The same drive twice: once the reasoning service is much faster than the simulator, once every
// snapshot comes at the last moment. Answers are the same.
TEST_F(TimeModesTest, SimulatedLatencyIsDeterministicWhateverTheHostsSpeed) {
  const auto drive = [&](bool fast) {
    SessionOptions options = OptionsOf(TimeMode::kStepped);
    options.simulated_latency_us = 700'000;
    options.on_no_context = OnNoContext::kFallback;
    options.on_expired = OnExpired::kAnswer;
    Open("car", options);
    sequence_ = 0;
    std::vector<SessionTimeUs> owed;
    std::vector<std::pair<uint64_t, uint32_t>> used;
    for (SessionTimeUs t = 0; t < 3'000'000; t += 50'000) {
      const size_t before = channel_.submitted().size();
      if (!fast) {  // what becomes visible at t is published while the plan is parked for it
        PendingAnswer pending = SendAt(t);
        if (!owed.empty() && owed.front() + 700'000 <= t) {
          EXPECT_TRUE(AwaitParked(1));
          channel_.Publish(owed.front());
          owed.erase(owed.begin());
        }
        const Answer answer = Await(std::move(pending));
        used.emplace_back(answer.result.snapshot.version, answer.result.reasons.bits());
      } else {
        const Answer answer = PlanAt(t);
        used.emplace_back(answer.result.snapshot.version, answer.result.reasons.bits());
      }
      if (channel_.submitted().size() > before && !channel_.submitted().back()->history_only) {
        if (fast) channel_.Publish(t);
        if (!fast) owed.push_back(t);
      }
    }
    EXPECT_TRUE(engine_->CloseSession("car", car_lease_).ok());
    return used;
  };
  const auto fast = drive(true);
  EXPECT_EQ(fast, drive(false));
  EXPECT_EQ(fast.back().first, 5U) << "2.95 s - 0.7 s: captured at 2.0 s";
}

}  // namespace
}  // namespace automot::planning
