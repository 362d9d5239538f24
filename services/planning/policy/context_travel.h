// How far the world moved since the context froze its prompt (semantics 4). Pure; keys and values
// are never transformed.
#pragma once

#include <optional>

#include "common/types/geometry.h"
#include "common/types/observation.h"

namespace automot::planning {

// Fields that need poses are absent where one of the poses is.
struct ContextTravel {
  std::optional<double> distance_m;
  std::optional<double> yaw_change_rad;  // wrapped, positive to the right
  std::optional<double> speed_change_mps;
  std::optional<double>
      target_point_shift_m;  // current target point, after ego-motion compensation
};

// One end of the comparison.
struct TravelPoint {
  std::optional<Pose2> pose;
  double speed_mps = 0.0;
  Vec2 target_point;  // ego frame of its own capture, metres
};

ContextTravel ComputeContextTravel(const TravelPoint& context, const TravelPoint& now);

}  // namespace automot::planning
