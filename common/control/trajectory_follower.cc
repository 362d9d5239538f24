#include "common/control/trajectory_follower.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "common/control/route_curve.h"

namespace automot::control {
namespace {

constexpr double kStandstillMps = 0.4;  // below this desired speed the car should stand
constexpr double kBrakeRatio = 1.1;     // brake above this ratio of actual to desired speed
constexpr double kMaxSpeedErrorMps = 1.0;

constexpr ControlCommand kFullBrake{.steer = 0.0, .throttle = 0.0, .brake = 1.0};

bool Usable(Vec2 point) {
  return std::abs(point.x) < kMaxCoordinateM && std::abs(point.y) < kMaxCoordinateM;
}

bool Usable(const Trajectory& trajectory, double speed_mps) {
  return std::isfinite(speed_mps) &&
         std::all_of(trajectory.route.begin(), trajectory.route.end(),
                     [](Vec2 point) { return Usable(point); }) &&
         std::all_of(trajectory.waypoints.begin(), trajectory.waypoints.end(),
                     [](Vec2 point) { return Usable(point); });
}

// Between the waypoints at 0.5 s and 1.0 s; float32, as the model's output and the reference.
double DesiredSpeed(const Trajectory& trajectory) {
  const Vec2 &a = trajectory.waypoints[0], &b = trajectory.waypoints[1];
  const float dx = static_cast<float>(b.x) - static_cast<float>(a.x);
  const float dy = static_cast<float>(b.y) - static_cast<float>(a.y);
  return 2.0F * std::sqrt(dx * dx + dy * dy);
}

// To three decimals, ties to even.
double RoundToMilli(double value) { return std::nearbyint(value * 1000.0) / 1000.0; }

}  // namespace

ControlCommand LimitSpeed(const ControlCommand& command, double speed_mps) {
  if (!(speed_mps * 3.6 > kSpeedLimitKmh)) return command;
  return {.steer = command.steer, .throttle = 0.0, .brake = 1.0};
}

void TrajectoryFollower::Reset() {
  speed_pid_.Reset();
  steer_pid_.Reset();
}

ControlCommand TrajectoryFollower::Longitudinal(const Trajectory& trajectory, double speed_mps) {
  const double desired = DesiredSpeed(trajectory);
  const bool brake = desired < kStandstillMps || speed_mps / std::max(desired, 1e-5) > kBrakeRatio;
  const double error = std::clamp(desired - speed_mps, 0.0, kMaxSpeedErrorMps);
  // Stepped while braking too: the window of errors has no gaps.
  const double throttle = std::clamp(speed_pid_.Step(error), 0.0, 1.0);
  return {.steer = 0.0, .throttle = brake ? 0.0 : throttle, .brake = brake ? 1.0 : 0.0};
}

double TrajectoryFollower::Lateral(const Trajectory& trajectory, double speed_mps) {
  const RouteCurve curve(trajectory.route);
  const Vec2 target = curve.Sample(LookaheadIndex(speed_mps, curve.sample_count()));
  double heading = std::atan2(target.y, target.x);
  if (heading >= std::numbers::pi) heading -= 2.0 * std::numbers::pi;
  const double error = heading * 180.0 / std::numbers::pi / 90.0;
  return RoundToMilli(std::clamp(steer_pid_.Step(error), -1.0, 1.0));
}

ControlCommand TrajectoryFollower::StepUnlimited(const Trajectory& trajectory, double speed_mps) {
  if (!Usable(trajectory, speed_mps)) return kFullBrake;
  ControlCommand command = Longitudinal(trajectory, speed_mps);
  command.steer = Lateral(trajectory, speed_mps);
  return command;
}

ControlCommand TrajectoryFollower::Step(const Trajectory& trajectory, double speed_mps) {
  return LimitSpeed(StepUnlimited(trajectory, speed_mps), speed_mps);
}

}  // namespace automot::control
