// From a planned trajectory to throttle, brake and steering (spec 5.2): the one implementation that
// clients, the planning service and the rule layer share.
//
// Stateful: two PIDs, made for 20 steps per second of session time. Not thread-safe. Allocates
// nothing.
#pragma once

#include "common/control/pid.h"
#include "common/types/trajectory.h"

namespace automot::control {

inline constexpr double kSpeedLimitKmh = 35.0;

// Above 35 km/h: full brake, no throttle; the steering stays. Applied last, after every rule.
ControlCommand LimitSpeed(const ControlCommand& command, double speed_mps);

class TrajectoryFollower {
 public:
  // The command for a vehicle at `speed_mps` that should follow `trajectory` (ego frame, y right).
  // A trajectory or speed that is not finite, or of coordinates beyond any route, gives full brake
  // with the wheels straight and leaves the state as it is.
  ControlCommand Step(const Trajectory& trajectory, double speed_mps);

  // Step without LimitSpeed, for callers that have rules of their own to apply before it.
  ControlCommand StepUnlimited(const Trajectory& trajectory, double speed_mps);

  // As new: a reset world must not inherit errors of the old one.
  void Reset();

 private:
  ControlCommand Longitudinal(const Trajectory& trajectory, double speed_mps);
  double Lateral(const Trajectory& trajectory, double speed_mps);

  static constexpr PidGains kSpeedGains = {1.75, 1.0, 2.0};
  static constexpr PidGains kSteerGains = {3.118, 0.6406067986034124, 1.3782508892109167};

  Pid<20> speed_pid_{kSpeedGains, PidWindow::kZeros};
  Pid<6> steer_pid_{kSteerGains, PidWindow::kEmpty};
};

}  // namespace automot::control
