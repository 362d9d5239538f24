// Bad input harms neither its session nor the others, and ingest is apart from admission.
#include <limits>

#include "tests/unit/services/planning/engine_fixture.h"

namespace automot::planning {
namespace {

using ::testing::HasSubstr;

class PlanningBadInputTest : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    Open();
    channel_.Publish(0);
  }
  // Refused, and the session is where it was: the next good observation is planned on.
  void ExpectRefused(PlanCall call, const std::string& message) {
    const size_t forwarded = channel_.submitted().size();
    const Answer refused = Plan(std::move(call));
    EXPECT_EQ(refused.status.code(), absl::StatusCode::kInvalidArgument) << refused.status;
    EXPECT_THAT(std::string(refused.status.message()), HasSubstr(message));
    EXPECT_EQ(channel_.submitted().size(), forwarded) << "nothing of it reaches the slow path";
    const Answer next = PlanAt(time_us_ += 50'000);
    EXPECT_TRUE(next.status.ok()) << next.status;
    EXPECT_TRUE(next.result.reasons.empty());
  }
  SessionTimeUs time_us_ = 0;
};

TEST_F(PlanningBadInputTest, LeavesTheSessionUnharmed) {
  ASSERT_TRUE(PlanAt(time_us_ = 50'000).status.ok());
  ExpectRefused(CallAt(0), "observation.capture_time_us is 0");
  PlanCall call = CallAt(time_us_ + 1);
  call.observation.camera_frames = {FrameAt(time_us_ + 1, 640, 480)};
  ExpectRefused(call, "camera_images[0] is 640x480; the checkpoint's camera is 8x4");
  call = CallAt(time_us_ + 1);
  call.observation.lidar.reset();
  ExpectRefused(call, "observation.lidar is missing");
  call = CallAt(time_us_ + 1);
  auto points = std::make_shared<LidarPoints>();
  points->xyz = {0.0F, std::numeric_limits<float>::infinity(), 0.0F};
  call.observation.lidar = LidarMeasurement{.points = points};
  ExpectRefused(call, "inf");
}

TEST_F(PlanningBadInputTest, ARefusedObservationDoesNotUseItsSequenceUp) {
  PlanCall call = CallAt(0);
  call.observation.lidar.reset();
  EXPECT_EQ(Plan(call).status.code(), absl::StatusCode::kInvalidArgument);
  call.observation.lidar.emplace();
  EXPECT_TRUE(Plan(call).status.ok());
}

TEST_F(PlanningBadInputTest, SequencesRunForwardWithoutRepeats) {
  PlanCall call = CallAt(0);
  call.sequence = 5;
  EXPECT_TRUE(Plan(call).status.ok());
  const Answer repeated = Plan(call);
  EXPECT_EQ(repeated.status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(repeated.status.message()), HasSubstr("sequence 5"));
  EXPECT_THAT(std::string(repeated.status.message()), HasSubstr("at least 6"));
  call.sequence = 4;
  const Answer older = Plan(call);
  EXPECT_EQ(older.status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(older.status.message()), HasSubstr("sequence is 4; it must be above 5"));
  call.sequence = 0;
  EXPECT_EQ(Plan(call).status.code(), absl::StatusCode::kInvalidArgument);
  call.sequence = 9;
  EXPECT_TRUE(Plan(call).status.ok()) << "gaps are legal";
}

TEST_F(PlanningBadInputTest, OtherVehiclesNoticeNothing) {
  Open("van", OptionsOf(TimeMode::kRealtime));
  for (uint64_t i = 1; i <= 20; ++i) {
    PlanCall bad = CallAt(0);
    bad.observation.camera_frames = {FrameAt(0, 1, 1)};
    PendingAnswer refused = Send(bad);
    PlanCall good = CallAt(static_cast<SessionTimeUs>(i) * 50'000);
    good.session = "van";
    good.sequence = i;
    EXPECT_TRUE(Plan(good).status.ok());
    EXPECT_EQ(Await(std::move(refused)).status.code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST_F(PlanningBadInputTest, WhatIsAcceptedReachesTheHistoryEvenIfItsPlanIsRefused) {
  PlanCall late = CallAt(50'000);
  late.deadline = clock_.Now();  // nobody waits for the answer any more
  EXPECT_EQ(Plan(late).status.code(), absl::StatusCode::kDeadlineExceeded);
  ASSERT_EQ(channel_.submitted().size(), 1U);
  EXPECT_EQ(channel_.submitted()[0]->frames[0]->capture_time_us, 50'000);

  // The camera frame of the refused plan serves the next one.
  PlanCall next = CallAt(100'000);
  next.observation.camera_frames.clear();
  const Answer answer = Plan(next);
  EXPECT_TRUE(answer.status.ok());
  EXPECT_EQ(answer.camera_age_us, 50'000);
}

TEST_F(PlanningBadInputTest, ARefusedForwardIsNoFailureInRealtime) {
  channel_.set_submit_status(absl::UnavailableError("down"));
  EXPECT_TRUE(PlanAt(0).status.ok());
}

TEST_F(PlanningBadInputTest, AMissingHistoryIsFlaggedByTheContextThatWasMadeWithoutIt) {
  channel_.Publish(50'000, [](context::ContextSnapshot& snapshot) {
    snapshot.header.reasons.Add(Reason::kShortHistory);
  });
  const Answer answer = PlanAt(100'000);
  EXPECT_TRUE(answer.status.ok());
  EXPECT_TRUE(answer.Has(Reason::kShortHistory));
}

TEST_F(PlanningBadInputTest, ASnapshotOfAnotherModelIsRefusedAndTheOldOneServes) {
  channel_.Publish(50'000, [](context::ContextSnapshot& snapshot) {
    snapshot.header.model_revision = "another";
  });
  EXPECT_EQ(PlanAt(100'000).result.snapshot.version, 1U);
  EXPECT_EQ(engine_->GetSessionStatus("car")->rejected, 1U);
}

TEST_F(PlanningBadInputTest, AnExpertThatFailsFailsItsPlanOnly) {
  expert_.set_fail(true);
  const Answer failed = PlanAt(0);
  EXPECT_EQ(failed.status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(failed.status.message()), HasSubstr("asked to fail"));
  expert_.set_fail(false);
  EXPECT_TRUE(PlanAt(50'000).result.reasons.empty());
}

}  // namespace
}  // namespace automot::planning
