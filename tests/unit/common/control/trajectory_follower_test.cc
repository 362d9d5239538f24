#include "common/control/trajectory_follower.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "common/control/route_curve.h"

namespace automot::control {
namespace {

// Straight on, or bending to the right with `curvature` (1/m), at a constant speed.
Trajectory Drive(double speed_mps, double curvature) {
  Trajectory trajectory;
  for (int i = 0; i < kRoutePoints; ++i) {
    const double s = i + 1.0;
    trajectory.route[i] = {s, 0.5 * curvature * s * s};
  }
  for (int i = 0; i < kWaypoints; ++i) {
    trajectory.waypoints[i] = {speed_mps * kWaypointSpacingSeconds * (i + 1), 0.0};
  }
  return trajectory;
}

TEST(TrajectoryFollower, SteersToTheSideThatTheRouteBendsTo) {
  TrajectoryFollower right, left, straight;
  EXPECT_GT(right.Step(Drive(5, 0.05), 5).steer, 0.0) << "y is right, and so is positive steering";
  EXPECT_LT(left.Step(Drive(5, -0.05), 5).steer, 0.0);
  EXPECT_EQ(straight.Step(Drive(5, 0.0), 5).steer, 0.0);
}

TEST(TrajectoryFollower, SpeedsUpBelowAndBrakesAboveTheDesiredSpeed) {
  TrajectoryFollower follower;
  const ControlCommand slow = follower.Step(Drive(8, 0), 3);
  EXPECT_GT(slow.throttle, 0.5);
  EXPECT_EQ(slow.brake, 0.0);
  const ControlCommand fast = follower.Step(Drive(3, 0), 8);
  EXPECT_EQ(fast.throttle, 0.0);
  EXPECT_EQ(fast.brake, 1.0);
}

TEST(TrajectoryFollower, BrakesFromABarelyMovingPlan) {
  TrajectoryFollower follower;
  EXPECT_EQ(follower.Step(Drive(0.39, 0), 0).brake, 1.0);
  EXPECT_EQ(follower.Step(Drive(0.41, 0), 0).brake, 0.0);
}

TEST(TrajectoryFollower, LimitsTheSpeedToThirtyFiveKilometresPerHour) {
  TrajectoryFollower follower, unlimited;
  const double over = 35.01 / 3.6, under = 34.99 / 3.6;
  EXPECT_EQ(follower.Step(Drive(12, 0.02), over).brake, 1.0);
  EXPECT_EQ(follower.Step(Drive(12, 0.02), over).throttle, 0.0);
  EXPECT_NE(follower.Step(Drive(12, 0.02), over).steer, 0.0) << "the steering stays";
  EXPECT_EQ(follower.Step(Drive(12, 0), under).brake, 0.0);
  EXPECT_GT(unlimited.StepUnlimited(Drive(12, 0), over).throttle, 0.0);
}

TEST(TrajectoryFollower, BrakesOnNumbersThatAreNoTrajectoryAndForgetsThem) {
  TrajectoryFollower follower, reference;
  follower.Step(Drive(5, 0.03), 4);
  reference.Step(Drive(5, 0.03), 4);
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity(), 1e30}) {
    Trajectory route = Drive(5, 0), waypoints = Drive(5, 0);
    route.route[7].y = bad;
    waypoints.waypoints[5].x = -bad;
    for (const Trajectory& trajectory : {route, waypoints}) {
      const ControlCommand command = follower.Step(trajectory, 4);
      EXPECT_EQ(command.brake, 1.0);
      EXPECT_EQ(command.throttle, 0.0);
      EXPECT_EQ(command.steer, 0.0);
    }
  }
  EXPECT_EQ(follower.Step(Drive(5, 0), std::nan("")).brake, 1.0);
  EXPECT_EQ(follower.Step(Drive(5, 0.03), 4).steer, reference.Step(Drive(5, 0.03), 4).steer);
}

TEST(TrajectoryFollower, StaysInRangeOnDegenerateRoutes) {
  Trajectory standing;  // all points at the origin
  Trajectory reversed = Drive(5, 0);
  for (Vec2& point : reversed.route) point.x = -point.x;
  Trajectory far = Drive(5, 0);
  for (Vec2& point : far.route) point = {9e5, -9e5};  // equal points, far away
  for (const Trajectory& trajectory : {standing, reversed, far}) {
    TrajectoryFollower follower;
    for (int i = 0; i < 10; ++i) {
      const ControlCommand command = follower.Step(trajectory, 3.0);
      EXPECT_LE(std::abs(command.steer), 1.0);
      EXPECT_TRUE(command.throttle >= 0.0 && command.throttle <= 1.0);
    }
  }
}

TEST(TrajectoryFollower, TurnsLeftToAPointStraightBehind) {
  Trajectory behind;
  for (Vec2& point : behind.route) point = {-5.0, 0.0};
  TrajectoryFollower follower;
  EXPECT_EQ(follower.Step(behind, 0.0).steer, -1.0) << "a heading of +pi counts as -pi";
}

TEST(TrajectoryFollower, IsAsNewAfterReset) {
  TrajectoryFollower used, fresh;
  for (int i = 0; i < 9; ++i) used.Step(Drive(6, -0.1 * i), i);
  used.Reset();
  const ControlCommand a = used.Step(Drive(6, 0.01), 5.5), b = fresh.Step(Drive(6, 0.01), 5.5);
  EXPECT_EQ(a.steer, b.steer);
  EXPECT_EQ(a.throttle, b.throttle);
}

TEST(RouteCurve, UsesTheLastPointOfARouteShorterThanOneSample) {
  std::array<Vec2, kRoutePoints> route{};
  route.back() = {0.0, 0.05};
  const RouteCurve curve(route);
  EXPECT_EQ(curve.sample_count(), 1);
  EXPECT_EQ(curve.Sample(0), (Vec2{0.0, 0.05}));
}

TEST(LookaheadIndex, GrowsWithSpeedBetweenItsLimits) {
  EXPECT_EQ(LookaheadIndex(0.0, 1000), 24);
  EXPECT_EQ(LookaheadIndex(10.0, 1000), 36);
  EXPECT_EQ(LookaheadIndex(100.0, 1000), 105);
  EXPECT_EQ(LookaheadIndex(10.0, 5), 4) << "never beyond the last sample";
  EXPECT_EQ(LookaheadIndex(10.0, 1), 0);
}

}  // namespace
}  // namespace automot::control
