#include "services/planning/policy/context_travel.h"

#include <gtest/gtest.h>

#include <numbers>

namespace automot::planning {
namespace {

TEST(ContextTravel, CarriesTheTargetPointAlongWithTheEgoMotion) {
  // The car drove 3 m ahead and turned right by 90 degrees; the target point did not move in the
  // world.
  const TravelPoint context{Pose2{{10, 5}, 0.0}, 4.0, {8, 0}};
  const TravelPoint now{Pose2{{13, 5}, std::numbers::pi / 2}, 6.0, {0, -5}};
  const ContextTravel travel = ComputeContextTravel(context, now);
  EXPECT_NEAR(*travel.distance_m, 3.0, 1e-12);
  EXPECT_NEAR(*travel.yaw_change_rad, std::numbers::pi / 2, 1e-12);
  EXPECT_NEAR(*travel.speed_change_mps, 2.0, 1e-12);
  EXPECT_NEAR(*travel.target_point_shift_m, 0.0, 1e-9);
}

TEST(ContextTravel, HasOnlyTheSpeedChangeWithoutPoses) {
  const ContextTravel travel =
      ComputeContextTravel({std::nullopt, 4.0, {8, 0}}, {Pose2{}, 3.0, {8, 0}});
  EXPECT_FALSE(travel.distance_m || travel.yaw_change_rad || travel.target_point_shift_m);
  EXPECT_NEAR(*travel.speed_change_mps, -1.0, 1e-12);
}

TEST(ContextTravel, WrapsTheHeading) {
  const ContextTravel travel =
      ComputeContextTravel({Pose2{{0, 0}, 3.1}, 0, {}}, {Pose2{{0, 0}, -3.1}, 0, {}});
  EXPECT_NEAR(*travel.yaw_change_rad, 2 * std::numbers::pi - 6.2, 1e-12);
}

}  // namespace
}  // namespace automot::planning
