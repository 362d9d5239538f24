// What a vehicle drives when the model has no usable context (semantics 6): the last good route in
// the current ego frame, with constant deceleration to standstill, then hold. Pure; allocates
// nothing.
#pragma once

#include <optional>

#include "common/types/geometry.h"
#include "common/types/observation.h"
#include "common/types/trajectory.h"

namespace automot::planning {

inline constexpr double kFallbackDecelerationMps2 = 3.0;
inline constexpr SessionTimeUs kLastGoodRouteMaxAgeUs = 3'000'000;

// The newest route that the model planned on a usable context.
struct LastGoodRoute {
  Trajectory trajectory;  // ego frame at `pose`
  std::optional<Pose2> pose;
  SessionTimeUs capture_time_us = 0;
};

struct FallbackInputs {
  const LastGoodRoute* last_good = nullptr;  // null: none
  std::optional<Pose2> pose;                 // current ego pose in the local frame
  double speed_mps = 0.0;
  SessionTimeUs capture_time_us = 0;
  double deceleration_mps2 = kFallbackDecelerationMps2;  // above 0
};

// Full horizon. Without a last good route of at most 3 s, or without both poses, the path is
// straight ahead; so it is where the route is not finite or leads nowhere the car could go on to.
// Waypoint i lies v t - a t^2 / 2 along the path (t clipped at standstill). The path never doubles
// back; beyond the end of the route it goes on straight.
Trajectory PlanFallback(const FallbackInputs& inputs);

// Decision that goes with it: stop in all three slots, probability 1.
Decision FallbackDecision(SessionTimeUs capture_time_us);

}  // namespace automot::planning
