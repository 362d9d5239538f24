// Target points and GNSS conversion against the reference, case f_route_planner.
#include "common/control/route_planner.h"
#include "tests/golden/control/control_case.h"

namespace automot::control {
namespace {

constexpr double kTargetTolerance = 1e-9;

std::vector<PlanPoint> Plan(const ControlCase& golden) {
  const auto points = golden.Input<double>("plan");
  const auto commands = golden.Input<int64_t>("commands");
  std::vector<PlanPoint> plan;
  for (std::size_t i = 0; i < commands.size(); ++i) {
    plan.push_back({{points[3 * i], points[3 * i + 1]}, static_cast<RoadOption>(commands[i])});
  }
  return plan;
}

TEST(GoldenRoutePlanner, EveryStepLeavesTheReferencesPointsAndTargets) {
  const ControlCase golden("f_route_planner");
  auto planner = RoutePlanner::Create(Plan(golden));
  ASSERT_TRUE(planner.ok()) << planner.status();
  const auto pose = golden.Input<double>("ego_pose");
  const auto remaining = golden.Expected<int64_t>("remaining");
  const auto target = golden.Expected<double>("target_point");
  const auto next = golden.Expected<double>("next_target_point");
  ASSERT_EQ(remaining.size(), 508U);
  for (std::size_t i = 0; i < remaining.size(); ++i) {
    const TargetPoints points = planner->Step({{pose[3 * i], pose[3 * i + 1]}, pose[3 * i + 2]});
    ASSERT_EQ(planner->remaining(), static_cast<std::size_t>(remaining[i])) << "step " << i;
    EXPECT_NEAR(points.current.x, target[2 * i], kTargetTolerance) << "step " << i;
    EXPECT_NEAR(points.current.y, target[2 * i + 1], kTargetTolerance) << "step " << i;
    EXPECT_NEAR(points.next.x, next[2 * i], kTargetTolerance) << "step " << i;
    EXPECT_NEAR(points.next.y, next[2 * i + 1], kTargetTolerance) << "step " << i;
  }
}

TEST(GoldenRoutePlanner, GnssBecomesTheReferencesMetres) {
  const ControlCase golden("f_route_planner");
  const auto gps = golden.Input<double>("gps"), expected = golden.Expected<double>("gps_xyz");
  const GeoPoint references[] = {{0.0, 0.0}, {42.0, 2.0}};
  for (int i = 0; i < 2; ++i) {
    const Vec2 local = GnssToLocal({gps[3 * i], gps[3 * i + 1]}, references[i]);
    EXPECT_NEAR(local.x, expected[3 * i], 1e-8) << "case " << i;
    EXPECT_NEAR(local.y, expected[3 * i + 1], 1e-8) << "case " << i;
  }
}

}  // namespace
}  // namespace automot::control
