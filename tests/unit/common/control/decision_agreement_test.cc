#include "common/control/decision_agreement.h"

#include <gtest/gtest.h>

#include <cmath>
#include <initializer_list>

namespace automot::control {
namespace {

using enum LongitudinalAction;

Decision At(SessionTimeUs time_us, std::initializer_list<LongitudinalAction> actions) {
  Decision decision;
  for (const LongitudinalAction action : actions) {
    DecisionSlot& slot = decision.slots[decision.slot_count];
    slot.time_us = time_us + decision.slot_count++ * 1'000'000;
    slot.longitudinal = action;
  }
  return decision;
}

TEST(CompareDecisions, ComparesEverySlotOfTheSameCapture) {
  const Decision a = At(0, {kKeep, kKeep, kStop}), b = At(0, {kKeep, kSlow, kStop});
  EXPECT_EQ(CompareDecisions(&a, &a), kAgreementAgree);
  EXPECT_EQ(CompareDecisions(&a, &b), kAgreementDisagree);
}

TEST(CompareDecisions, LooksOnlyAtTheTimesThatBothSpeakOf) {
  // One second apart: +1 s and +2 s of the snapshot are the tick's now and +1 s.
  const Decision snapshot = At(0, {kAccelerate, kKeep, kStop});
  const Decision same = At(1'000'000, {kKeep, kStop, kAccelerate});
  const Decision other = At(1'000'000, {kAccelerate, kKeep, kStop});
  EXPECT_EQ(CompareDecisions(&snapshot, &same), kAgreementAgree);
  EXPECT_EQ(CompareDecisions(&snapshot, &other), kAgreementDisagree);
}

TEST(CompareDecisions, DoesNotCompareDifferentMoments) {
  const Decision snapshot = At(0, {kKeep, kKeep, kKeep});
  for (const SessionTimeUs later : {100'000, 500'000, 900'000, 3'000'000}) {
    const Decision tick = At(later, {kKeep, kKeep, kKeep});
    EXPECT_EQ(CompareDecisions(&snapshot, &tick), kAgreementNotComparable) << later;
  }
  const Decision almost = At(99'999, {kKeep, kKeep, kKeep});
  EXPECT_EQ(CompareDecisions(&snapshot, &almost), kAgreementAgree);
}

TEST(CompareDecisions, DoesNotCompareWhatIsAbsentOrUnparsed) {
  const Decision keep = At(0, {kKeep}), unparsed = At(0, {kUnparsed}), none = At(0, {});
  EXPECT_EQ(CompareDecisions(nullptr, &keep), kAgreementNotComparable);
  EXPECT_EQ(CompareDecisions(&keep, nullptr), kAgreementNotComparable);
  EXPECT_EQ(CompareDecisions(&unparsed, &unparsed), kAgreementNotComparable);
  EXPECT_EQ(CompareDecisions(&none, &keep), kAgreementNotComparable);
  const Decision half = At(0, {kUnparsed, kStop}), full = At(0, {kKeep, kStop});
  EXPECT_EQ(CompareDecisions(&half, &full), kAgreementAgree) << "the other slot still counts";
}

TEST(CompareDecisions, ComparesTheLateralActionWhereBothHaveOne) {
  Decision left = At(0, {kKeep}), right = At(0, {kKeep});
  const Decision plain = At(0, {kKeep});
  left.slots[0].lateral = LateralAction::kTurnLeft;
  right.slots[0].lateral = LateralAction::kTurnRight;
  EXPECT_EQ(CompareDecisions(&left, &right), kAgreementDisagree);
  EXPECT_EQ(CompareDecisions(&left, &plain), kAgreementAgree);
}

// Straight on, starting at `speed_mps` with a constant acceleration, never backwards.
Trajectory Drive(double speed_mps, double acceleration) {
  Trajectory trajectory;
  for (int i = 0; i < kWaypoints; ++i) {
    double t = 0.5 * (i + 1);
    if (acceleration < 0) t = std::min(t, speed_mps / -acceleration);
    trajectory.waypoints[i] = {speed_mps * t + 0.5 * acceleration * t * t, 0.0};
  }
  return trajectory;
}

DecisionConsistency Check(LongitudinalAction action, double speed_mps, double acceleration) {
  const Decision decision = At(7'000'000, {action, action, action});
  return CheckConsistency(&decision, Drive(speed_mps, acceleration), speed_mps);
}

TEST(CheckConsistency, HoldsAStopToSlowingDownOrStanding) {
  EXPECT_EQ(Check(kStop, 8, -3), kConsistencyConsistent);
  EXPECT_EQ(Check(kStop, 0, 0), kConsistencyConsistent);
  EXPECT_EQ(Check(kStop, 8, 2), kConsistencyInconsistent) << "stop, but it accelerates";
  EXPECT_EQ(Check(kStop, 8, 0), kConsistencyInconsistent) << "stop, but it drives on";
}

TEST(CheckConsistency, HoldsTheOtherWordsToTheirSigns) {
  EXPECT_EQ(Check(kSlow, 8, -1), kConsistencyConsistent);
  EXPECT_EQ(Check(kSlow, 8, 1), kConsistencyInconsistent);
  EXPECT_EQ(Check(kAccelerate, 4, 1), kConsistencyConsistent);
  EXPECT_EQ(Check(kAccelerate, 8, -1), kConsistencyInconsistent);
  EXPECT_EQ(Check(kKeep, 8, 0), kConsistencyConsistent);
  EXPECT_EQ(Check(kKeep, 8, 2), kConsistencyInconsistent);
  EXPECT_EQ(Check(kKeep, 8, -2), kConsistencyInconsistent);
}

TEST(CheckConsistency, JudgesEachSlotByItsOwnSecond) {
  Trajectory brakes_late = Drive(6, 0);
  // Three half seconds at speed, then down to standstill.
  brakes_late.waypoints[4] = {brakes_late.waypoints[3].x + 1.0, 0.0};
  brakes_late.waypoints[5] = brakes_late.waypoints[4];
  const Decision late = At(0, {kKeep, kKeep, kStop}), early = At(0, {kStop, kKeep, kKeep});
  EXPECT_EQ(CheckConsistency(&late, brakes_late, 6), kConsistencyConsistent);
  EXPECT_EQ(CheckConsistency(&early, brakes_late, 6), kConsistencyInconsistent);
}

TEST(CheckConsistency, SaysNothingWithoutWordsOrNumbers) {
  const Decision unparsed = At(0, {kUnparsed, kUnspecified}), none = At(0, {});
  const Decision keep = At(0, {kKeep});
  Trajectory broken = Drive(5, 0);
  broken.waypoints[2].x = std::nan("");
  EXPECT_EQ(CheckConsistency(nullptr, Drive(5, 0), 5), kConsistencyNotComparable);
  EXPECT_EQ(CheckConsistency(&none, Drive(5, 0), 5), kConsistencyNotComparable);
  EXPECT_EQ(CheckConsistency(&unparsed, Drive(5, 0), 5), kConsistencyNotComparable);
  EXPECT_EQ(CheckConsistency(&keep, broken, 5), kConsistencyNotComparable);
  EXPECT_EQ(CheckConsistency(&keep, Drive(5, 0), std::nan("")), kConsistencyNotComparable);
}

}  // namespace
}  // namespace automot::control
