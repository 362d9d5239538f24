#include "services/egodriver/geometry/plan_poses.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace automot::egodriver {
namespace {

constexpr double kAheadM = 1.4;

// Straight ahead at a speed, the route a metre a point.
Trajectory Straight(double speed_mps) {
  Trajectory trajectory;
  for (int i = 0; i < kRoutePoints; ++i) trajectory.route[i] = {1.0 + i, 0.0};
  for (int i = 0; i < kWaypoints; ++i) {
    trajectory.waypoints[i] = {speed_mps * kWaypointSpacingSeconds * (i + 1), 0.0};
  }
  return trajectory;
}

// On a circle to the right (the model's y), of the ego origin.
Trajectory RightTurn(double speed_mps, double radius_m) {
  const auto on_circle = [&](double s) {
    return Vec2{radius_m * std::sin(s / radius_m), radius_m * (1 - std::cos(s / radius_m))};
  };
  Trajectory trajectory;
  for (int i = 0; i < kRoutePoints; ++i) trajectory.route[i] = on_circle(1.0 + i);
  for (int i = 0; i < kWaypoints; ++i) {
    trajectory.waypoints[i] = on_circle(speed_mps * kWaypointSpacingSeconds * (i + 1));
  }
  return trajectory;
}

// Away from the origin, turned, on a slope.
TimedPose Somewhere() {
  const Quat nose_up{std::cos(-0.05), 0.0, std::sin(-0.05), 0.0};
  return {7'000'000, {{1200.0, -340.0, 12.5}, Multiply(AboutZ(2.2), nose_up)}, std::nullopt};
}

double Speed(const std::vector<TimedPose>& poses, int i) {
  return std::hypot(poses[i + 1].pose.position.x - poses[i].pose.position.x,
                    poses[i + 1].pose.position.y - poses[i].pose.position.y) /
         0.1;
}

TEST(PlanPosesTest, LeadsWithThePoseOfNowAndRunsFiveSeconds) {
  const TimedPose now = Somewhere();
  const auto poses = PlanPoses(Straight(6.0), now, kAheadM);
  ASSERT_TRUE(poses.ok()) << poses.status();
  ASSERT_EQ(poses->size(), 51U);
  EXPECT_EQ(poses->front().time_us, now.time_us);
  EXPECT_EQ(poses->front().pose.position, now.pose.position);
  EXPECT_EQ(poses->front().pose.rotation, now.pose.rotation);
  for (int i = 1; i < kPlanPoses; ++i) {
    const TimedPose& pose = (*poses)[i];
    EXPECT_EQ(pose.time_us, now.time_us + i * 100'000);
    EXPECT_EQ(pose.pose.position.z, now.pose.position.z);
    const Quat& q = pose.pose.rotation;
    EXPECT_NEAR(q.w * q.w + q.x * q.x + q.y * q.y + q.z * q.z, 1.0, 1e-12);
  }
  EXPECT_EQ(poses->back().time_us, now.time_us + 5'000'000);
}

TEST(PlanPosesTest, StraightAheadIsAlongTheHeadingOfNow) {
  const TimedPose now = Somewhere();
  const auto poses = *PlanPoses(Straight(6.0), now, kAheadM);
  const double yaw = YawOf(now.pose.rotation);
  for (int i = 0; i < kPlanPoses; ++i) {
    const double distance = 6.0 * 0.1 * i;
    EXPECT_NEAR(poses[i].pose.position.x, 1200.0 + distance * std::cos(yaw), 1e-6) << i;
    EXPECT_NEAR(poses[i].pose.position.y, -340.0 + distance * std::sin(yaw), 1e-6) << i;
    EXPECT_NEAR(WrapAngle(YawOf(poses[i].pose.rotation) - yaw), 0.0, 1e-9) << i;
  }
}

TEST(PlanPosesTest, TheModelsRightIsTheRigsRight) {
  const auto poses = *PlanPoses(RightTurn(5.0, 20.0), {0, {}, std::nullopt}, kAheadM);
  EXPECT_LT(poses[30].pose.position.y, -2.0) << "y is to the left in the rig";
  EXPECT_LT(YawOf(poses[30].pose.rotation), -0.4);
}

TEST(PlanPosesTest, TheRearAxleDoesNotSlipSideways) {
  const auto poses = *PlanPoses(RightTurn(5.0, 20.0), Somewhere(), kAheadM);
  for (int i = 1; i + 1 < kPlanPoses; ++i) {
    const double dx = poses[i + 1].pose.position.x - poses[i].pose.position.x;
    const double dy = poses[i + 1].pose.position.y - poses[i].pose.position.y;
    const double yaw = (YawOf(poses[i].pose.rotation));
    const double slip = WrapAngle(std::atan2(dy, dx) - yaw);
    EXPECT_LT(std::abs(slip), 0.03) << "at pose " << i;
  }
}

TEST(PlanPosesTest, TheLastTwoSecondsFollowThePredictedRoute) {
  // 4 m/s: the waypoints end 12 m on, the route 20 m on. Both on one circle.
  const auto poses = *PlanPoses(RightTurn(4.0, 15.0), {0, {}, std::nullopt}, 0.0);
  for (int i = 31; i < 50; ++i) {
    EXPECT_NEAR(Speed(poses, i), 4.0, 0.1) << i;
    const double off = std::hypot(poses[i].pose.position.x, poses[i].pose.position.y + 15.0) - 15.0;
    EXPECT_NEAR(off, 0.0, 0.1) << i;
  }
}

TEST(PlanPosesTest, WaypointsThatLeaveTheRouteGoOnStraight) {
  Trajectory trajectory = RightTurn(4.0, 8.0);
  for (int i = 0; i < kWaypoints; ++i) trajectory.waypoints[i] = {2.0 * (i + 1), 0.0};
  const auto poses = *PlanPoses(trajectory, {0, {}, std::nullopt}, kAheadM);
  EXPECT_NEAR(poses.back().pose.position.x, 20.0, 1e-6);
  EXPECT_NEAR(poses.back().pose.position.y, 0.0, 1e-6);
}

TEST(PlanPosesTest, AStandingVehicleKeepsItsPlaceAndHeading) {
  const TimedPose now = Somewhere();
  for (const double ahead_m : {0.0, kAheadM}) {
    Trajectory trajectory;
    for (int i = 0; i < kWaypoints; ++i) {
      trajectory.waypoints[i] = {1e-4 * (i % 2), -1e-4};  // what a network says of standing
    }
    const auto poses = *PlanPoses(trajectory, now, ahead_m);
    EXPECT_NEAR(poses.back().pose.position.x, now.pose.position.x, 1e-3);
    EXPECT_NEAR(WrapAngle(YawOf(poses.back().pose.rotation) - YawOf(now.pose.rotation)), 0.0, 1e-3);
  }
}

TEST(PlanPosesTest, ATrajectoryThatIsNotFiniteIsAnError) {
  Trajectory trajectory = Straight(5.0);
  trajectory.waypoints[3].y = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(absl::IsInternal(PlanPoses(trajectory, Somewhere(), kAheadM).status()));
  trajectory = Straight(5.0);
  trajectory.route[19].x = std::numeric_limits<double>::infinity();
  EXPECT_TRUE(absl::IsInternal(PlanPoses(trajectory, Somewhere(), kAheadM).status()));
}

}  // namespace
}  // namespace automot::egodriver
