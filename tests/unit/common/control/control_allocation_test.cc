// Control runs on the planning tick: no heap call, no lock, no wait.
#include <gtest/gtest.h>

#include "common/control/decision_agreement.h"
#include "common/control/decision_parser.h"
#include "common/control/pose_filter.h"
#include "common/control/route_planner.h"
#include "tests/support/tick_guard.h"

namespace automot::control {
namespace {

TEST(ControlTick, TakesNoLockAndAllocatesNothing) {
  if (!test_support::TickGuard::supported()) GTEST_SKIP() << "counters are off under a sanitizer";
  auto planner = RoutePlanner::Create({{{0, 0}}, {{40, 0}}, {{80, 5}}});
  ASSERT_TRUE(planner.ok());
  AgentRules rules;
  PoseFilter filter;
  Trajectory trajectory;
  for (int i = 0; i < kRoutePoints; ++i) trajectory.route[i] = {i + 1.0, 0.1 * i};
  for (int i = 0; i < kWaypoints; ++i) trajectory.waypoints[i] = {2.0 * (i + 1), 0.0};
  const double offsets_s[] = {0.0, 1.0, 2.0};
  const test_support::TickGuard guard;
  for (int tick = 0; tick < 100; ++tick) {
    const VehicleState state = filter.Step({{{0.1 * tick, 0.0}, 0.0}, 2.0}, {});
    planner->Step(state.pose);
    const auto prepared = rules.BeforePlan(state.pose, state.speed_mps);
    if (!prepared.warming_up) rules.AfterPlan(trajectory);
    const Decision decision = ParseDecision(" keep, slow, a text that is no word", 0, offsets_s);
    CompareDecisions(&decision, &decision);
    CheckConsistency(&decision, trajectory, 2.0);
  }
  const test_support::TickReport report = guard.report();
  EXPECT_EQ(report.heap_calls, 0U) << report.ToString();
  EXPECT_EQ(report.lock_calls, 0U) << report.ToString();
  EXPECT_EQ(report.wait_calls, 0U) << report.ToString();
}

}  // namespace
}  // namespace automot::control
