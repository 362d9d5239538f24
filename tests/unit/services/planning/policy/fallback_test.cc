#include "services/planning/policy/fallback.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace automot::planning {
namespace {

double Length(Vec2 v) { return std::hypot(v.x, v.y); }

// An arc to the right, one point each metre.
LastGoodRoute Arc(double curvature, Pose2 pose, SessionTimeUs time_us) {
  LastGoodRoute route;
  route.pose = pose;
  route.capture_time_us = time_us;
  for (int i = 0; i < kRoutePoints; ++i) {
    const double s = i + 1.0;
    route.trajectory.route[i] = curvature == 0.0 ? Vec2{s, 0.0}
                                                 : Vec2{std::sin(curvature * s) / curvature,
                                                        (1 - std::cos(curvature * s)) / curvature};
  }
  return route;
}

TEST(Fallback, GoesStraightAndStopsWithoutARoute) {
  const Trajectory trajectory = PlanFallback({.speed_mps = 6.0, .capture_time_us = 0});
  EXPECT_NEAR(trajectory.waypoints[0].x, 6 * 0.5 - 0.5 * 3 * 0.25, 1e-12);
  EXPECT_NEAR(trajectory.waypoints[3].x, 6.0, 1e-12) << "v^2 / 2a";
  EXPECT_EQ(trajectory.waypoints[5], trajectory.waypoints[3]) << "then holds";
  for (const Vec2& point : trajectory.waypoints) EXPECT_EQ(point.y, 0.0);
}

TEST(Fallback, FollowsTheLastGoodRouteFromWhereTheCarIsNow) {
  const LastGoodRoute good = Arc(0.0, {{100, 50}, 0.5}, 1'000'000);
  const Pose2 now{EgoToLocal(*good.pose, {4.0, 0.5}),
                  0.5};  // 4 m on, half a metre right of the path
  const Trajectory trajectory = PlanFallback(
      {.last_good = &good, .pose = now, .speed_mps = 12.0, .capture_time_us = 1'500'000});
  EXPECT_NEAR(trajectory.route[10].y, -0.5, 1e-6) << "the path lies half a metre to the left";
  EXPECT_GT(trajectory.waypoints[5].x, trajectory.waypoints[0].x);
}

TEST(Fallback, ForgetsARouteOlderThanThreeSeconds) {
  const LastGoodRoute good = Arc(0.1, {}, 0);
  const FallbackInputs fresh{
      .last_good = &good, .pose = Pose2{}, .speed_mps = 5.0, .capture_time_us = 3'000'000};
  FallbackInputs old = fresh;
  old.capture_time_us = 3'000'001;
  EXPECT_GT(PlanFallback(fresh).waypoints[5].y, 0.1);
  EXPECT_EQ(PlanFallback(old).waypoints[5].y, 0.0);
}

TEST(Fallback, NeedsBothPosesForTheRoute) {
  const LastGoodRoute good = Arc(0.1, {}, 0);
  EXPECT_EQ(PlanFallback({.last_good = &good, .speed_mps = 5.0}).waypoints[5].y, 0.0);
}

// Distance driven after `t` seconds of braking from `speed`.
double BrakingArc(double speed, double t) {
  const double clipped = std::min(t, speed / kFallbackDecelerationMps2);
  return speed * clipped - 0.5 * kFallbackDecelerationMps2 * clipped * clipped;
}

// What holds whatever comes in: finite, between two waypoints no farther than braking allows (so it
// never speeds up, stops within v^2 / 2a, and holds).
void ExpectBrakes(const Trajectory& trajectory, double speed) {
  double previous_arc = 0.0;
  Vec2 last{};
  for (int i = 0; i < kWaypoints; ++i) {
    const Vec2 point = trajectory.waypoints[i];
    ASSERT_TRUE(std::isfinite(point.x) && std::isfinite(point.y));
    const double arc = BrakingArc(speed, (i + 1) * kWaypointSpacingSeconds);
    ASSERT_LE(Length({point.x - last.x, point.y - last.y}), arc - previous_arc + 1e-9);
    previous_arc = arc;
    last = point;
  }
  for (const Vec2& point : trajectory.route) {
    ASSERT_TRUE(std::isfinite(point.x) && std::isfinite(point.y));
  }
}

TEST(Fallback, KeepsItsPropertiesOnRandomArcs) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> unit(-1.0, 1.0);
  for (int round = 0; round < 5000; ++round) {
    const LastGoodRoute good =
        Arc(0.2 * unit(random), {{50 * unit(random), 50 * unit(random)}, 4 * unit(random)}, 0);
    const Pose2 now{EgoToLocal(*good.pose, {8 * unit(random), 2 * unit(random)}),
                    good.pose->yaw_rad + unit(random)};
    const double speed = 15 * (unit(random) + 1);
    const Trajectory trajectory = PlanFallback(
        {.last_good = &good, .pose = now, .speed_mps = speed, .capture_time_us = 1'000'000});
    ExpectBrakes(trajectory, speed);
    Vec2 before{}, at = trajectory.route[0];
    ASSERT_GE(at.x, 0.0) << "starts backwards in round " << round;
    for (int i = 1; i < kRoutePoints; ++i) {
      const Vec2 after = trajectory.route[i];
      ASSERT_GE((at.x - before.x) * (after.x - at.x) + (at.y - before.y) * (after.y - at.y), 0.0)
          << "doubles back at point " << i << " of round " << round;
      before = at;
      at = after;
    }
  }
}

// An untrained model's routes are no paths at all.
TEST(Fallback, KeepsItsPropertiesOnRoutesOfRandomPoints) {
  std::mt19937 random(8);
  std::uniform_real_distribution<double> unit(-1.0, 1.0);
  for (int round = 0; round < 5000; ++round) {
    LastGoodRoute good = Arc(0.0, {}, 0);
    for (Vec2& point : good.trajectory.route) point = {20 * unit(random), 20 * unit(random)};
    const double speed = 15 * (unit(random) + 1);
    ExpectBrakes(PlanFallback({.last_good = &good,
                               .pose = Pose2{{unit(random), unit(random)}, unit(random)},
                               .speed_mps = speed}),
                 speed);
  }
}

TEST(Fallback, FollowsATurnOfMoreThanNinetyDegreesToItsEnd) {
  const LastGoodRoute good = Arc(0.15, {}, 0);  // 20 m of it are 172 degrees
  const Trajectory trajectory = PlanFallback({.last_good = &good, .pose = Pose2{}, .speed_mps = 5});
  EXPECT_NEAR(trajectory.route[18].x, good.trajectory.route[18].x, 0.1);
  EXPECT_NEAR(trajectory.route[18].y, good.trajectory.route[18].y, 0.1);
}

TEST(Fallback, GoesOnFromThePieceOfTheRouteNextToTheCar) {
  // Halfway round the turn: what lies behind on the route is not driven again.
  const LastGoodRoute good = Arc(0.15, {}, 0);
  const double heading = 0.15 * 10;
  const Pose2 now{good.trajectory.route[9], heading};
  const Trajectory trajectory = PlanFallback({.last_good = &good, .pose = now, .speed_mps = 5});
  const Vec2 expected = LocalToEgo(now, good.trajectory.route[14]);
  EXPECT_NEAR(trajectory.route[4].x, expected.x, 0.05);
  EXPECT_NEAR(trajectory.route[4].y, expected.y, 0.05);
}

TEST(Fallback, GoesStraightWhereTheRouteIsNotFiniteOrTheCarHasTurnedAway) {
  LastGoodRoute broken = Arc(0.1, {}, 0);
  broken.trajectory.route[3].y = std::nan("");
  EXPECT_EQ(PlanFallback({.last_good = &broken, .pose = Pose2{}, .speed_mps = 5}).waypoints[5].y,
            0);
  const LastGoodRoute good = Arc(0.0, {}, 0);
  const Pose2 turned{{0, 0}, 3.0};
  EXPECT_EQ(PlanFallback({.last_good = &good, .pose = turned, .speed_mps = 5}).waypoints[5].y, 0);
}

TEST(Fallback, BrakesAsHardAsItIsTold) {
  const Trajectory trajectory = PlanFallback({.speed_mps = 6.0, .deceleration_mps2 = 6.0});
  EXPECT_NEAR(trajectory.waypoints[5].x, 3.0, 1e-12);
}

TEST(Fallback, StandsStillWhenStandingOrWhenTheSpeedIsNotANumber) {
  for (const double speed : {0.0, -3.0, std::nan("")}) {
    const Trajectory trajectory = PlanFallback({.speed_mps = speed});
    EXPECT_EQ(trajectory.waypoints[5], Vec2{});
  }
}

TEST(Fallback, DecidesToStop) {
  const Decision decision = FallbackDecision(5'000'000);
  ASSERT_EQ(decision.slot_count, 3);
  for (const DecisionSlot& slot : decision.slots)
    EXPECT_EQ(slot.longitudinal, LongitudinalAction::kStop);
  EXPECT_EQ(decision.slots[2].time_us, 7'000'000);
}

}  // namespace
}  // namespace automot::planning
