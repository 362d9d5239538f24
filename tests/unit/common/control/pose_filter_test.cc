#include "common/control/pose_filter.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <random>

namespace automot::control {
namespace {

constexpr double kDt = PoseFilter::kStepSeconds;

double Distance(const VehicleState& a, const VehicleState& b) {
  return std::hypot(a.pose.position.x - b.pose.position.x, a.pose.position.y - b.pose.position.y);
}

VehicleState Noisy(const VehicleState& truth, std::mt19937& random, double sigma_m) {
  std::normal_distribution<double> noise(0.0, sigma_m);
  VehicleState measured = truth;
  measured.pose.position.x += noise(random);
  measured.pose.position.y += noise(random);
  return measured;
}

// Root of the mean squared distances to the truth of the filter and of the raw measurement, over
// the second half of a drive with a slow turn.
struct Errors {
  double filtered = 0.0;
  double raw = 0.0;
};
Errors DriveWithNoise(Vec2 origin, double yaw) {
  std::mt19937 random(3);
  PoseFilter filter;
  VehicleState truth{{origin, yaw}, 6.0};
  const ControlCommand command{.steer = 0.15, .throttle = 0.0, .brake = 0.0};
  Errors errors;
  constexpr int kTicks = 600;
  for (int i = 0; i < kTicks; ++i) {
    const VehicleState measured = Noisy(truth, random, 0.7);
    const VehicleState filtered = filter.Step(measured, command);
    if (i >= kTicks / 2) {
      errors.filtered += std::pow(Distance(filtered, truth), 2) / (kTicks / 2);
      errors.raw += std::pow(Distance(measured, truth), 2) / (kTicks / 2);
    }
    truth = AdvanceBicycle(truth, command, kDt);
  }
  return {std::sqrt(errors.filtered), std::sqrt(errors.raw)};
}

TEST(PoseFilter, IsSeveralTimesCloserToTheTruthThanNoisyPositions) {
  const Errors errors = DriveWithNoise({0, 0}, 0.0);
  EXPECT_GT(errors.raw, 0.9);
  EXPECT_LT(errors.filtered, errors.raw / 3);
}

TEST(PoseFilter, IsAsExactFarFromTheOriginAndInAnyHeading) {
  const Errors here = DriveWithNoise({0, 0}, 0.0);
  const Errors far = DriveWithNoise({4e5, -9e5}, 3.0);
  EXPECT_NEAR(far.raw, here.raw, 0.1);
  EXPECT_LT(far.filtered, far.raw / 3);
}

// The filter moves with its world: shifting and turning everything shifts and turns the result.
TEST(PoseFilter, GivesTheSameMotionInAShiftedFrame) {
  std::mt19937 random(5);
  PoseFilter here, there;
  VehicleState truth{{{1.0, 2.0}, 0.3}, 4.0};
  const ControlCommand command{.steer = -0.2, .throttle = 0.5, .brake = 0.0};
  for (int i = 0; i < 100; ++i) {
    const VehicleState measured = Noisy(truth, random, 0.7);
    VehicleState shifted = measured;
    shifted.pose.position.x += 1000.0;
    shifted.pose.position.y -= 500.0;
    const VehicleState a = here.Step(measured, command), b = there.Step(shifted, command);
    ASSERT_NEAR(a.pose.position.x + 1000.0, b.pose.position.x, 1e-6);
    ASSERT_NEAR(a.pose.position.y - 500.0, b.pose.position.y, 1e-6);
    truth = AdvanceBicycle(truth, command, kDt);
  }
}

TEST(PoseFilter, TakesHeadingAndSpeedFromTheirSensors) {
  std::mt19937 random(9);
  PoseFilter filter;
  VehicleState truth{{{0, 0}, 1.0}, 5.0};
  for (int i = 0; i < 50; ++i) {
    truth.pose.yaw_rad += 0.01;
    truth.speed_mps = 5.0 + std::sin(0.3 * i);
    const VehicleState filtered = filter.Step(truth, {});
    ASSERT_NEAR(filtered.pose.yaw_rad, truth.pose.yaw_rad, 1e-9);
    ASSERT_NEAR(filtered.speed_mps, truth.speed_mps, 1e-9);
  }
}

TEST(PoseFilter, CrossesTheWrapOfTheHeadingWithoutAJump) {
  PoseFilter filter;
  VehicleState truth{{{0, 0}, 3.1}, 5.0};
  const ControlCommand command{.steer = 0.2, .throttle = 0.0, .brake = 0.0};
  for (int i = 0; i < 100; ++i) {
    VehicleState measured = truth;
    measured.pose.yaw_rad = WrapAngle(truth.pose.yaw_rad);
    const VehicleState filtered = filter.Step(measured, command);
    ASSERT_LT(std::abs(WrapAngle(filtered.pose.yaw_rad - truth.pose.yaw_rad)), 1e-6);
    ASSERT_LT(Distance(filtered, truth), 0.05);
    truth = AdvanceBicycle(truth, command, kDt);
  }
}

// Sigma points lie on both sides of the wrap. Only the prediction shows it: a measurement would
// correct a lost state at once.
TEST(PoseFilter, PredictsAHeadingOfExactlyPi) {
  PoseFilter filter;
  const VehicleState west{{{0, 0}, std::numbers::pi}, 5.0};
  filter.Step(west, {});
  VehicleState missing = west;
  missing.speed_mps = std::nan("");
  const VehicleState predicted = filter.Step(missing, {});
  EXPECT_LT(std::abs(WrapAngle(predicted.pose.yaw_rad - std::numbers::pi)), 1e-6);
  EXPECT_NEAR(predicted.pose.position.x, -5.0 * kDt, 1e-3);
  EXPECT_NEAR(predicted.pose.position.y, 0.0, 1e-3);
  EXPECT_LT(filter.covariance()[2][2], 0.01);
}

TEST(PoseFilter, KeepsASymmetricPositiveCovariance) {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> steer(-1.0, 1.0);
  PoseFilter filter;
  VehicleState truth{{{0, 0}, 0.0}, 8.0};
  for (int i = 0; i < 2000; ++i) {
    const ControlCommand command{.steer = steer(random), .throttle = 0.3, .brake = 0.0};
    filter.Step(Noisy(truth, random, 0.7), command);
    truth = AdvanceBicycle(truth, command, kDt);
    for (int row = 0; row < PoseFilter::kStates; ++row) {
      ASSERT_GE(filter.covariance()[row][row], 0.0);
      for (int column = 0; column < row; ++column) {
        const double a = filter.covariance()[row][column], b = filter.covariance()[column][row];
        ASSERT_NEAR(a, b, 1e-12);
        const double bound =
            std::sqrt(filter.covariance()[row][row] * filter.covariance()[column][column]);
        ASSERT_LE(std::abs(a), bound + 1e-12);
      }
    }
  }
}

TEST(PoseFilter, GrowsUnsureWithoutMeasurementsAndPredictsOn) {
  PoseFilter filter;
  const VehicleState start{{{0, 0}, 0.0}, 5.0};
  filter.Step(start, {});
  const double sure = filter.covariance()[0][0];
  VehicleState missing = start;
  missing.pose.position.x = std::nan("");
  VehicleState state;
  for (int i = 0; i < 20; ++i) state = filter.Step(missing, {});
  // A little short of 5 m: the heading is less and less certain, and cosines only lose by that.
  EXPECT_NEAR(state.pose.position.x, 5.0, 0.05) << "one second at 5 m/s";
  EXPECT_GT(filter.covariance()[0][0], sure);
}

TEST(PoseFilter, ReturnsTheFirstMeasurementAndIsAsNewAfterReset) {
  PoseFilter filter;
  VehicleState missing;
  missing.speed_mps = std::nan("");
  EXPECT_EQ(filter.Step(missing, {}).pose, Pose2{});
  const VehicleState first{{{3, 4}, 0.5}, 2.0};
  EXPECT_EQ(filter.Step(first, {}).pose, first.pose);
  filter.Step({{{9, 9}, 0.0}, 1.0}, {});
  filter.Reset();
  EXPECT_EQ(filter.Step(first, {}).pose, first.pose);
}

TEST(AdvanceBicycle, BrakesToStandstillAndNeverRollsBackwards) {
  const ControlCommand brake{.steer = 0.0, .throttle = 0.0, .brake = 1.0};
  VehicleState state{{}, 1.0};
  for (int i = 0; i < 10; ++i) state = AdvanceBicycle(state, brake, kDt);
  EXPECT_EQ(state.speed_mps, 0.0);
  const VehicleState stopped = AdvanceBicycle(state, brake, kDt);
  EXPECT_EQ(stopped.pose, state.pose);
}

TEST(AdvanceBicycle, TurnsToTheSideOfTheSteering) {
  VehicleState right{{}, 5.0}, left{{}, 5.0};
  right = AdvanceBicycle(right, {.steer = 0.5, .throttle = 0.0, .brake = 0.0}, kDt);
  left = AdvanceBicycle(left, {.steer = -0.5, .throttle = 0.0, .brake = 0.0}, kDt);
  EXPECT_GT(right.pose.yaw_rad, 0.0);
  EXPECT_DOUBLE_EQ(left.pose.yaw_rad, -right.pose.yaw_rad);
}

}  // namespace
}  // namespace automot::control
