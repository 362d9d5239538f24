// Unscented Kalman filter over position, heading and speed, with a kinematic bicycle as its motion
// model (spec 5.3): smooths GNSS and compass into an ego pose.
//
// The sigma points lie so close (alpha 1e-5) that the textbook weights of 1e10 would cancel almost
// all digits. Mean and covariance are therefore formed from differences to the central point, which
// is the same algebra; and positions are taken relative to the estimate, so that the result does
// not depend on where the origin lies.
//
// Not thread-safe. Allocates nothing.
#pragma once

#include <array>

#include "common/types/geometry.h"
#include "common/types/trajectory.h"

namespace automot::control {

// What the sensors say, or what the filter believes.
struct VehicleState {
  Pose2 pose;              // local frame; yaw in radians, wrapped when it comes from the filter
  double speed_mps = 0.0;  // along x
};

// One step of `dt_s` seconds under a command. Steering 1 turns the wheels by 0.368 rad; a brake
// above 0 brakes fully; never rolls backwards.
VehicleState AdvanceBicycle(const VehicleState& state, const ControlCommand& command, double dt_s);

class PoseFilter {
 public:
  static constexpr int kStates = 4;  // x, y, yaw, speed
  using Vector = std::array<double, kStates>;
  using Matrix = std::array<Vector, kStates>;

  static constexpr double kStepSeconds = 0.05;

  // One tick of 0.05 s: predicts under `applied`, the command since the last tick, then corrects by
  // `measured`. The first measurement is returned as it is. A measurement with a number that is not
  // finite is not used: the tick is then a prediction alone (before the first usable one: the
  // default state).
  VehicleState Step(const VehicleState& measured, const ControlCommand& applied);

  // As new.
  void Reset() { *this = PoseFilter(); }

  const VehicleState& state() const { return state_; }
  const Matrix& covariance() const { return covariance_; }  // m, m, rad, m/s; symmetric

 private:
  void Predict(const ControlCommand& applied);
  void Correct(const VehicleState& measured);

  bool started_ = false;
  VehicleState state_;
  Matrix covariance_{};
};

}  // namespace automot::control
