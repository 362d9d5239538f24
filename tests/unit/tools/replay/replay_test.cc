// What was recorded comes out again bit for bit, whatever the session went through; and what does
// not is named.
#include "tests/unit/tools/replay/recorded_engine.h"
#include "tools/replay/recording_replay.h"

namespace automot::planning {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class ReplayTest : public RecordedEngineTest {
 protected:
  void ExpectTheSame(uint64_t plans) {
    const tools::ReplayReport report = Replay();
    EXPECT_EQ(report.differences, 0U) << said_;
    EXPECT_EQ(report.plans, plans);
    EXPECT_THAT(report.not_replayed, SizeIs(0));
    EXPECT_EQ(tail_.kind, tools::RecordingTail::Kind::kEnded);
  }
};

TEST_F(ReplayTest, ARealtimeDriveThroughStaleExpiredAndRecovery) {
  SessionOptions options = OptionsOf(TimeMode::kRealtime);
  options.run_controller = true;
  Open("car", options);
  EXPECT_TRUE(PlanAt(0).Has(Reason::kNoContext));
  for (SessionTimeUs time = 100'000; time < 4'000'000; time += 100'000) {
    // Between 1 s and 2.5 s nobody reasons.
    const bool silent = time > 1'000'000 && time < 2'500'000;
    if (!silent && time % 500'000 == 0) {
      ASSERT_TRUE(Publish(time));
    }
    PlanAt(time);
  }
  ExpectTheSame(40);
}

TEST_F(ReplayTest, SnapshotsThatComeBehindAPlanStayBehindIt) {
  Open();
  ASSERT_TRUE(Publish(0));
  PlanAt(0);
  PlanAt(100'000);
  ASSERT_TRUE(Publish(50'000));   // before that plan's capture, and not there yet
  ASSERT_TRUE(Publish(400'000));  // from the future of the next
  const Answer gap = PlanAt(200'000);
  EXPECT_EQ(gap.result.version_gap, 1U);
  ExpectTheSame(3);
}

TEST_F(ReplayTest, EpisodesEpochsAndNamesThatAreUsedAgain) {
  Open();
  ASSERT_TRUE(Publish(0));
  PlanAt(0);
  channel_.SetLink(context::LinkState::kDown, absl::UnavailableError("gone"));
  clock_.Advance(absl::Seconds(5));
  ASSERT_TRUE(Eventually([&] { return channel_.attaches() == 2; }));
  ASSERT_TRUE(Publish(100'000));
  EXPECT_EQ(PlanAt(100'000).result.snapshot.version, 1U) << "of the second epoch";
  ASSERT_TRUE(engine_->ResetSession("car", 1).ok());
  EXPECT_TRUE(PlanAt(0).Has(Reason::kNoContext));
  ASSERT_TRUE(Publish(0));
  PlanAt(50'000);
  ASSERT_TRUE(engine_->CloseSession("car", 1).ok());
  Open();
  PlanAt(0);
  ASSERT_TRUE(Publish(0));
  PlanAt(50'000);
  ExpectTheSame(6);
}

TEST_F(ReplayTest, PinsAndChosenContexts) {
  Open();
  ASSERT_TRUE(Publish(0));
  PlanAt(0);
  const auto pinned = engine_->PinContext("car", 1, std::nullopt, 10'000'000);
  ASSERT_TRUE(pinned.ok());
  for (SessionTimeUs time = 100'000; time <= 800'000; time += 100'000) ASSERT_TRUE(Publish(time));
  PlanCall exact = CallAt(800'000);
  exact.choice = {ContextChoice::Kind::kExactly, pinned->snapshot};
  EXPECT_EQ(Plan(std::move(exact)).result.snapshot.version, 1U);
  PlanCall newer = CallAt(810'000);
  newer.choice.kind = ContextChoice::Kind::kAtLeast;
  newer.choice.id.version = 99;
  EXPECT_EQ(Plan(std::move(newer)).status.code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(engine_->ReleaseContext("car", 1, pinned->context_lease).ok());
  PlanCall gone = CallAt(820'000);
  gone.choice = {ContextChoice::Kind::kExactly, pinned->snapshot};
  EXPECT_EQ(Plan(std::move(gone)).status.code(), absl::StatusCode::kNotFound);
  ExpectTheSame(4);
}

TEST_F(ReplayTest, PlansThatWereParkedAndOthersThatOvertookThem) {
  Open(TimeMode::kStepped);
  PendingAnswer first = SendAt(0);
  ASSERT_TRUE(AwaitParked(1));
  ASSERT_TRUE(Publish(0));
  EXPECT_FALSE(Await(std::move(first)).IsFallback());
  PendingAnswer waits = SendAt(500'000);  // for the refresh of its own frame
  ASSERT_TRUE(AwaitParked(1));
  PlanCall exact = CallAt(510'000);  // waits for nothing
  exact.choice.kind = ContextChoice::Kind::kExactly;
  exact.choice.id = engine_->GetSessionStatus("car")->latest;
  EXPECT_TRUE(Plan(std::move(exact)).status.ok());
  ASSERT_TRUE(Publish(500'000));
  EXPECT_EQ(Await(std::move(waits)).result.snapshot.version, 2U);
  ExpectTheSame(3);
}

TEST_F(ReplayTest, WaitingThatEndedWithoutASnapshotAndPlansThatNeverRan) {
  Open(TimeMode::kStepped);
  PendingAnswer late = SendAt(0);
  ASSERT_TRUE(AwaitParked(1));
  clock_.Advance(absl::Seconds(11));  // beyond the park limit
  ASSERT_TRUE(Publish(0));            // looks at it again
  Await(std::move(late));
  PlanCall cancelled = CallAt(100'000);
  cancelled.cancelled = std::make_shared<std::atomic<bool>>(true);
  EXPECT_EQ(Plan(std::move(cancelled)).status.code(), absl::StatusCode::kCancelled);
  PlanCall bad = CallAt(50'000);  // time runs back
  EXPECT_EQ(Plan(std::move(bad)).status.code(), absl::StatusCode::kInvalidArgument);
  PlanAt(200'000);
  ExpectTheSame(2);
}

TEST_F(ReplayTest, ManyVehiclesBesideEachOther) {
  constexpr int kVehicles = 8;
  for (int v = 0; v < kVehicles; ++v) Open("car" + std::to_string(v), OptionsOf({}));
  std::vector<PendingAnswer> answers;
  for (SessionTimeUs time = 0; time < 2'000'000; time += 50'000) {
    for (int v = 0; v < kVehicles; ++v) {
      const std::string name = "car" + std::to_string(v);
      if ((time / 50'000 + v) % 7 == 0) {
        ASSERT_TRUE(Publish(time, name));
      }
      PlanCall call = CallAt(time);
      call.session = name;
      call.observation.target.current.x = 10.0 + v;
      answers.push_back(Send(std::move(call)));
    }
  }
  uint64_t ticked = 0;  // the rest was superseded
  for (PendingAnswer& answer : answers) ticked += Await(std::move(answer)).status.ok() ? 1 : 0;
  EXPECT_GT(ticked, 0U);
  ExpectTheSame(ticked);
}

TEST_F(ReplayTest, ASessionThatAnotherWriterTookOver) {
  const OpenedSession opened = Open();
  ASSERT_TRUE(Publish(0));
  PlanAt(0);
  ASSERT_EQ(engine_->OpenSession("car", opened.resume_token, OptionsOf({}))->lease, 2U);
  EXPECT_EQ(PlanAt(100'000).status.code(), absl::StatusCode::kAborted);
  PlanCall call = CallAt(100'000);
  call.lease = 2;
  call.sequence = 1;
  EXPECT_TRUE(Plan(std::move(call)).status.ok());
  ExpectTheSame(2);
}

TEST_F(ReplayTest, LeasesThatBeganAnywhereAndAStrangersOne) {
  engine_options_.first_lease = 1'000'000;
  StartRecording();
  Open();
  ASSERT_TRUE(Publish(0));
  PlanAt(0);
  PlanCall stranger = CallAt(100'000);
  stranger.lease = 1;  // the replay's own first
  EXPECT_EQ(Plan(std::move(stranger)).status.code(), absl::StatusCode::kAborted);
  EXPECT_TRUE(PlanAt(100'000).status.ok());
  ExpectTheSame(2);
}

TEST_F(ReplayTest, AnotherAnswerIsNamedByItsFirstField) {
  Open();
  ASSERT_TRUE(Publish(0));
  PlanAt(0);
  PlanAt(100'000);
  replaying_.bias = 0.25;
  const tools::ReplayReport report = Replay();
  EXPECT_EQ(report.differences, 2U);
  EXPECT_EQ(said_, "car 1 trajectory.route[3].y: 10, 10.25");
  EXPECT_EQ(Replay({.tolerance = 0.5}).differences, 0U);
}

TEST_F(ReplayTest, AnotherModelIsTheDifference) {
  Open();
  ASSERT_TRUE(Publish(0));
  PlanAt(0);
  replaying_.fake().mutable_info().model_revision = "other";
  EXPECT_EQ(Replay().differences, 1U);
  EXPECT_EQ(said_, " 0 model_revision: revision, other");
}

TEST_F(ReplayTest, WithoutSnapshotsItSaysWhatItCannotDo) {
  options_.snapshots = false;
  StartRecording();
  Open();
  EXPECT_TRUE(PlanAt(0).IsFallback());
  ASSERT_TRUE(Publish(50'000));
  PlanAt(100'000);
  const tools::ReplayReport report = Replay();
  EXPECT_EQ(report.differences, 0U) << said_;
  EXPECT_EQ(report.plans, 1U) << "the one before the first snapshot";
  ASSERT_THAT(report.not_replayed, SizeIs(1));
  EXPECT_EQ(report.not_replayed[0].plans, 1U);
  EXPECT_THAT(report.not_replayed[0].why, HasSubstr("version 1 are not recorded"));
}

}  // namespace
}  // namespace automot::planning
