// Staleness, fallback, waiting, route changes, recovery, retention (semantics 4 and 6), through the
// engine. The pure policy has tests of its own.
#include "common/control/decision_agreement.h"
#include "tests/unit/services/planning/engine_fixture.h"

namespace automot::planning {
namespace {

using ::testing::HasSubstr;

class StalenessTest : public EngineTest {
 protected:
  PlanCall CallWith(SessionTimeUs time_us, OnExpired policy) {
    PlanCall call = CallAt(time_us);
    call.on_expired = policy;
    return call;
  }
};

TEST_F(StalenessTest, IsMeasuredBetweenCapturesAndReported) {
  Open();
  channel_.Publish(0);
  const Answer fresh = PlanAt(500'000);
  EXPECT_TRUE(fresh.result.reasons.empty());
  EXPECT_EQ(fresh.capture_time_us - fresh.result.snapshot_capture_us, 500'000);
  const Answer stale = PlanAt(500'001);
  EXPECT_TRUE(stale.Has(Reason::kStale));
  EXPECT_FALSE(stale.IsFallback());
  EXPECT_EQ(stale.result.trajectory.route[0].y, 1.0) << "planned on version 1";
  EXPECT_FALSE(PlanAt(1'000'000).Has(Reason::kExpired));
  const Answer expired = PlanAt(1'000'001);
  EXPECT_TRUE(expired.Has(Reason::kExpired) && expired.Has(Reason::kStale) && expired.IsFallback());
}

TEST_F(StalenessTest, WallTimeAgesNothing) {
  Open();
  channel_.Publish(0);
  clock_.Advance(absl::Minutes(9));
  EXPECT_TRUE(PlanAt(0).result.reasons.empty());
}

TEST_F(StalenessTest, TheRequestsPolicyRulesBeyondTheHardLimit) {
  Open();
  channel_.Publish(0);
  EXPECT_TRUE(Plan(CallWith(2'000'000, OnExpired::kFallback)).IsFallback());
  const Answer answered = Plan(CallWith(2'000'000, OnExpired::kAnswer));
  EXPECT_TRUE(answered.Has(Reason::kExpired) && !answered.IsFallback());
  EXPECT_EQ(answered.result.snapshot.version, 1U);
  const Answer refused = Plan(CallWith(2'000'000, OnExpired::kReject));
  EXPECT_EQ(refused.status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status.message()),
              HasSubstr("context staleness is 2000000 us; the hard limit is 1000000 us"));
}

TEST_F(StalenessTest, TheSessionsPolicyRulesWhereTheRequestHasNone) {
  SessionOptions options = OptionsOf(TimeMode::kRealtime);
  options.on_expired = OnExpired::kReject;
  Open("car", options);
  channel_.Publish(0);
  EXPECT_EQ(PlanAt(2'000'000).status.code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(StalenessTest, WaitingEndsWithAFreshContext) {
  Open();
  channel_.Publish(0);
  PendingAnswer parked = Send(CallWith(1'500'000, OnExpired::kWait));
  ASSERT_TRUE(AwaitParked(1));
  channel_.Publish(100'000);  // still expired
  channel_.Publish(1'400'000);
  const Answer answer = Await(std::move(parked));
  EXPECT_EQ(answer.result.snapshot.version, 3U);
  EXPECT_TRUE(answer.result.reasons.empty());
  EXPECT_EQ(engine_->load().parked, 0U);
}

TEST_F(StalenessTest, WaitingIsBoundedThenFallsBack) {
  Open();
  channel_.Publish(0);
  PendingAnswer parked = Send(CallWith(1'500'000, OnExpired::kWait));
  ASSERT_TRUE(AwaitParked(1));
  clock_.Advance(absl::Seconds(10));
  engine_->NoticeCancellation();  // the loop looks at its clock
  const Answer answer = Await(std::move(parked));
  EXPECT_TRUE(answer.IsFallback() && answer.Has(Reason::kExpired));
  EXPECT_EQ(answer.result.parked_s, 10.0);
}

TEST_F(StalenessTest, ANewerRequestEndsTheWaitOfAnOlderOne) {
  Open();
  channel_.Publish(0);
  PendingAnswer parked = Send(CallWith(1'500'000, OnExpired::kWait));
  ASSERT_TRUE(AwaitParked(1));
  EXPECT_TRUE(PlanAt(1'550'000).IsFallback());
  EXPECT_EQ(Await(std::move(parked)).status.code(), absl::StatusCode::kAborted);
}

TEST_F(StalenessTest, BeforeTheFirstSnapshotRealtimeFallsBackAndSaysWhy) {
  Open();
  const Answer answer = PlanAt(0);
  EXPECT_TRUE(answer.status.ok());
  EXPECT_TRUE(answer.IsFallback() && answer.Has(Reason::kNoContext));
  EXPECT_FALSE(answer.Has(Reason::kExpired));
  EXPECT_EQ(answer.result.snapshot.version, 0U);
  EXPECT_EQ(expert_.plans(), 0U);
  // Constant deceleration of 3 m/s2 from 5 m/s, straight ahead; decision stop.
  EXPECT_NEAR(answer.result.trajectory.waypoints[1].x, 3.5, 1e-9);
  EXPECT_NEAR(answer.result.trajectory.waypoints[5].x, 25.0 / 6.0, 1e-9);
  ASSERT_TRUE(answer.result.decision);
  EXPECT_EQ(answer.result.decision->slots[0].longitudinal, LongitudinalAction::kStop);
  EXPECT_FALSE(answer.result.context_decision);
  EXPECT_EQ(answer.result.agreement, control::kAgreementNotComparable);
}

TEST_F(StalenessTest, BeforeTheFirstSnapshotASessionMayRejectOrPark) {
  SessionOptions options = OptionsOf(TimeMode::kRealtime);
  options.on_no_context = OnNoContext::kReject;
  Open("car", options);
  const Answer refused = PlanAt(0);
  EXPECT_EQ(refused.status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status.message()), HasSubstr("'car'"));
  ASSERT_TRUE(engine_->CloseSession("car", car_lease_).ok());

  options.on_no_context = OnNoContext::kPark;
  Open("car", options);
  PendingAnswer parked = SendAt(0);
  ASSERT_TRUE(AwaitParked(1));
  channel_.Publish(0);
  EXPECT_EQ(Await(std::move(parked)).result.snapshot.version, 1U);
}

TEST_F(StalenessTest, TheFallbackFollowsTheLastGoodRouteForThreeSeconds) {
  Open();
  channel_.Publish(0);
  PlanCall turned = CallAt(0);
  turned.observation.ego.pose = Pose2{{0.0, 0.0}, 0.0};
  ASSERT_FALSE(Plan(turned).IsFallback());
  // The route went straight along the local x axis; the car has turned left by 0.3 rad since, so
  // the route now leads to its right.
  PlanCall later = CallAt(2'000'000);
  later.observation.ego.pose = Pose2{{0.0, 0.0}, -0.3};
  const Answer along = Plan(later);
  ASSERT_TRUE(along.IsFallback());
  EXPECT_GT(along.result.trajectory.route[10].y, 1.0);
  PlanCall too_late = CallAt(3'000'001);
  too_late.observation.ego.pose = Pose2{{0.0, 0.0}, -0.3};
  const Answer straight = Plan(too_late);
  ASSERT_TRUE(straight.IsFallback());
  EXPECT_EQ(straight.result.trajectory.route[10].y, 0.0);
}

TEST_F(StalenessTest, ARoutePlannedOnAnExpiredContextIsNotAGoodOne) {
  Open();
  channel_.Publish(0);
  PlanCall expired = CallWith(1'500'000, OnExpired::kAnswer);
  expired.observation.ego.pose = Pose2{{0.0, 0.0}, 0.0};
  ASSERT_FALSE(Plan(expired).IsFallback());
  PlanCall next = CallAt(1'600'000);
  next.observation.ego.pose = Pose2{{0.0, 0.0}, -0.3};
  const Answer fallback = Plan(next);
  ASSERT_TRUE(fallback.IsFallback());
  EXPECT_EQ(fallback.result.trajectory.route[10].y, 0.0);
}

TEST_F(StalenessTest, BackToNormalAfterTwoFreshSnapshots) {
  Open();
  channel_.Publish(0);
  EXPECT_TRUE(PlanAt(1'100'000).IsFallback());
  EXPECT_TRUE(engine_->GetSessionStatus("car")->recovering);
  channel_.Publish(1'100'000);
  const Answer held = PlanAt(1'150'000);
  EXPECT_TRUE(held.IsFallback() && !held.Has(Reason::kExpired));
  EXPECT_TRUE(PlanAt(1'200'000).IsFallback()) << "the same snapshot does not count twice";
  channel_.Publish(1'200'000);
  EXPECT_TRUE(PlanAt(1'250'000).result.reasons.empty());
  EXPECT_FALSE(engine_->GetSessionStatus("car")->recovering);
}

TEST_F(StalenessTest, RetentionEndsWhatAContextServes) {
  SessionOptions options = OptionsOf(TimeMode::kRealtime);
  options.retention_us = 3'000'000;
  options.on_expired = OnExpired::kAnswer;
  Open("car", options);
  channel_.Publish(0);
  const Answer kept = PlanAt(3'000'000);
  EXPECT_EQ(kept.result.snapshot.version, 1U);
  const Answer gone = PlanAt(3'000'001);
  EXPECT_EQ(gone.result.snapshot.version, 0U);
  EXPECT_TRUE(gone.Has(Reason::kNoContext) && gone.Has(Reason::kExpired) && gone.IsFallback());
  EXPECT_FALSE(gone.Has(Reason::kContextFromFuture)) << "it is of the past";
  EXPECT_EQ(Plan(CallWith(3'050'000, OnExpired::kReject)).status.code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(StalenessTest, RecoveryAlsoFollowsTheEndOfRetention) {
  SessionOptions options = OptionsOf(TimeMode::kRealtime);
  options.retention_us = 1'000'000;
  Open("car", options);
  channel_.Publish(0);
  EXPECT_FALSE(PlanAt(0).IsFallback());
  EXPECT_TRUE(PlanAt(1'500'000).Has(Reason::kNoContext));
  channel_.Publish(1'500'000);
  EXPECT_TRUE(PlanAt(1'550'000).IsFallback());
  channel_.Publish(1'600'000);
  EXPECT_FALSE(PlanAt(1'650'000).IsFallback());
}

TEST_F(StalenessTest, ANewerContextThanTheObservationIsNotSelected) {
  Open();
  channel_.Publish(100'000);
  const Answer none = PlanAt(50'000);
  EXPECT_TRUE(none.Has(Reason::kContextFromFuture) && none.IsFallback());
  EXPECT_FALSE(none.Has(Reason::kNoContext));
  channel_.Publish(200'000);
  const Answer older = PlanAt(150'000);
  EXPECT_EQ(older.result.snapshot.version, 1U) << "the newest that is not newer";
  EXPECT_TRUE(older.result.reasons.empty());
}

TEST_F(StalenessTest, AChangedRouteIsFlaggedUsedOrAvoided) {
  const auto plan = [&](OnRouteChange policy) {
    SessionOptions options = OptionsOf(TimeMode::kRealtime);
    options.on_route_change = policy;
    Open("car", options);
    channel_.Publish(0);  // made for revision 0
    PlanCall call = CallAt(50'000);
    call.observation.target.route_revision = 1;
    Answer answer = Plan(call);
    EXPECT_TRUE(engine_->CloseSession("car", car_lease_).ok());
    return answer;
  };
  const Answer flagged = plan(OnRouteChange::kFlag);
  EXPECT_TRUE(flagged.Has(Reason::kRouteChanged) && !flagged.IsFallback());
  EXPECT_TRUE(plan(OnRouteChange::kUse).result.reasons.empty());
  const Answer avoided = plan(OnRouteChange::kFallback);
  EXPECT_TRUE(avoided.Has(Reason::kRouteChanged) && avoided.IsFallback());
}

TEST_F(StalenessTest, AChangedRouteHurriesTheRefreshAndItsContextEndsTheFlag) {
  Open();
  channel_.Publish(0);
  ASSERT_TRUE(PlanAt(0).status.ok());
  PlanCall rerouted = CallAt(50'000);
  rerouted.observation.target.route_revision = 1;
  EXPECT_TRUE(Plan(rerouted).Has(Reason::kRouteChanged));
  EXPECT_TRUE(channel_.submitted().back()->urgent);
  channel_.Publish(50'000, [](context::ContextSnapshot& snapshot) {
    snapshot.header.prompt.route_revision = 1;
  });
  PlanCall next = CallAt(100'000);
  next.observation.target.route_revision = 1;
  EXPECT_TRUE(Plan(next).result.reasons.empty());
}

TEST_F(StalenessTest, ReportsHowFarTheWorldMovedSinceTheContextsCapture) {
  Open();
  channel_.Publish(0, [](context::ContextSnapshot& snapshot) {
    snapshot.header.prompt.pose = Pose2{{10.0, 20.0}, 0.1};
    snapshot.header.prompt.speed_mps = 4.0;
    snapshot.header.prompt.target_points[0] = {10.0, 0.0};
  });
  PlanCall call = CallAt(100'000);
  call.observation.ego.pose = Pose2{{13.0, 24.0}, 0.3};
  const Answer answer = Plan(call);
  ASSERT_TRUE(answer.result.travel);
  EXPECT_NEAR(*answer.result.travel->distance_m, 5.0, 1e-12);
  EXPECT_NEAR(*answer.result.travel->yaw_change_rad, 0.2, 1e-12);
  EXPECT_NEAR(*answer.result.travel->speed_change_mps, 1.0, 1e-12);
  EXPECT_GT(*answer.result.travel->target_point_shift_m, 1.0);
}

TEST_F(StalenessTest, CarriesBothDecisionsAndHowTheyCompare) {
  Open();
  const auto publish = [&](SessionTimeUs time_us, LongitudinalAction action) {
    channel_.Publish(time_us, [&](context::ContextSnapshot& snapshot) {
      snapshot.decision.emplace();
      snapshot.decision->slot_count = 1;
      snapshot.decision->slots[0].time_us = time_us;
      snapshot.decision->slots[0].longitudinal = action;
    });
  };
  publish(0, LongitudinalAction::kKeep);
  const Answer agree = PlanAt(0);
  ASSERT_TRUE(agree.result.decision && agree.result.context_decision);
  EXPECT_EQ(agree.result.agreement, control::kAgreementAgree);
  EXPECT_EQ(agree.result.consistency, control::kConsistencyConsistent);
  publish(50'000, LongitudinalAction::kStop);
  EXPECT_EQ(PlanAt(50'000).result.agreement, control::kAgreementDisagree);
  EXPECT_EQ(PlanAt(550'000).result.agreement, control::kAgreementNotComparable)
      << "no slots of the same moment";
  channel_.Publish(600'000);
  const Answer without = PlanAt(600'000);
  EXPECT_FALSE(without.result.context_decision) << "absent, never a default";
  EXPECT_EQ(without.result.agreement, control::kAgreementNotComparable);
}

}  // namespace
}  // namespace automot::planning
