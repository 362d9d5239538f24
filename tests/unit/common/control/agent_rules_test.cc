// What the golden cases do not reach; the rest of the rule layer is held by
// tests/golden/control/agent_rules_golden_test.cc.
#include "common/control/agent_rules.h"

#include <gtest/gtest.h>

namespace automot::control {
namespace {

Trajectory Straight(double speed_mps) {
  Trajectory trajectory;
  for (int i = 0; i < kRoutePoints; ++i) trajectory.route[i] = {i + 1.0, 0.0};
  for (int i = 0; i < kWaypoints; ++i) trajectory.waypoints[i] = {speed_mps * 0.5 * (i + 1), 0.0};
  return trajectory;
}

// Ticks of a car that stands from the first tick on. Returns how many escapes began.
int Stand(AgentRules& rules, int ticks) {
  int escapes = 0;
  for (int i = 0; i < ticks; ++i) {
    const auto prepared = rules.BeforePlan({}, 0.0);
    escapes += prepared.pop_route ? 1 : 0;
    if (!prepared.warming_up) rules.AfterPlan(Straight(5));
  }
  return escapes;
}

TEST(AgentRules, BrakesForThirtyOneTicks) {
  AgentRules rules;
  for (int i = 0; i < 31; ++i) {
    const auto prepared = rules.BeforePlan({}, 3.0);
    ASSERT_TRUE(prepared.warming_up);
    ASSERT_EQ(prepared.command.brake, 1.0);
  }
  EXPECT_FALSE(rules.BeforePlan({}, 3.0).warming_up);
}

TEST(AgentRules, TriesASecondEscapeFartherToTheSideAfterItsCooldown) {
  AgentRules rules;
  EXPECT_EQ(Stand(rules, 1700), 0);
  auto prepared = rules.BeforePlan({}, 0.0);
  EXPECT_TRUE(prepared.pop_route);
  ASSERT_TRUE(prepared.target_override);
  EXPECT_EQ(prepared.target_override->current, (Vec2{3.0, 6.5}));
  rules.AfterPlan(Straight(5));
  EXPECT_EQ(Stand(rules, 38), 0) << "one escape pops the route once";
  EXPECT_TRUE(rules.state().escaping);
  // It ends at tick 1739 and cools down until 4139; a kept position is 1500 ticks old at 4300.
  EXPECT_EQ(Stand(rules, 4300 - 1739), 0);
  prepared = rules.BeforePlan({}, 0.0);
  EXPECT_TRUE(prepared.pop_route);
  ASSERT_TRUE(prepared.target_override);
  EXPECT_EQ(prepared.target_override->current, (Vec2{3.0, 8.0}));
  EXPECT_EQ(prepared.target_override->next, (Vec2{6.0, 8.0}));
}

TEST(AgentRules, LimitsTheSpeedEvenWhileItEscapes) {
  AgentRules rules;
  Stand(rules, 1700);
  rules.BeforePlan({}, 9.8);
  const ControlCommand command = rules.AfterPlan(Straight(5));
  EXPECT_TRUE(rules.state().escaping);
  EXPECT_EQ(command.steer, -0.65);
  EXPECT_EQ(command.throttle, 0.0);
  EXPECT_EQ(command.brake, 1.0);
}

TEST(AgentRules, ForcesAStuckCarToMoveUnlessItStartedParked) {
  AgentRules moved, parked;
  double x = 0.0;
  for (int i = 0; i < 300; ++i) {  // drives 15 m, so it did not start parked
    if (!moved.BeforePlan({{x += 0.05, 0.0}, 0.0}, 1.0).warming_up) moved.AfterPlan(Straight(5));
  }
  for (int i = 0; i < 301; ++i) {
    moved.BeforePlan({{x, 0.0}, 0.0}, 0.0);
    moved.AfterPlan(Straight(0));
  }
  moved.BeforePlan({{x, 0.0}, 0.0}, 0.0);
  const ControlCommand forced = moved.AfterPlan(Straight(0));
  EXPECT_EQ(forced.brake, 0.0);
  EXPECT_EQ(forced.throttle, 0.4);
  Stand(parked, 700);
  parked.BeforePlan({}, 0.0);
  EXPECT_EQ(parked.AfterPlan(Straight(0)).brake, 1.0);
}

TEST(AgentRules, AreAsNewAfterReset) {
  AgentRules rules;
  Stand(rules, 1720);
  rules.Reset();
  EXPECT_FALSE(rules.state().escaping);
  EXPECT_TRUE(rules.BeforePlan({}, 0.0).warming_up);
}

TEST(DeadlockDetector, NeedsEveryKeptPositionToBeNear) {
  DeadlockDetector standing, once_away;
  bool standing_fired = false, away_fired = false;
  for (int64_t tick = 31; tick <= 1700; ++tick) {
    standing_fired = standing.Observe(tick, {4.9, 0.0});
    away_fired = once_away.Observe(tick, {tick == 800 ? 5.1 : 0.0, 0.0});
    ASSERT_TRUE(tick == 1700 || !standing_fired) << tick;
  }
  EXPECT_TRUE(standing_fired);
  EXPECT_FALSE(away_fired);
}

}  // namespace
}  // namespace automot::control
