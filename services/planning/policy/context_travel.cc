#include "services/planning/policy/context_travel.h"

#include <cmath>

namespace automot::planning {

ContextTravel ComputeContextTravel(const TravelPoint& context, const TravelPoint& now) {
  ContextTravel travel;
  travel.speed_change_mps = now.speed_mps - context.speed_mps;
  if (!context.pose || !now.pose) return travel;
  const Vec2 from = context.pose->position, to = now.pose->position;
  travel.distance_m = std::hypot(to.x - from.x, to.y - from.y);
  travel.yaw_change_rad = WrapAngle(now.pose->yaw_rad - context.pose->yaw_rad);
  const Vec2 carried = EgoToEgo(*context.pose, *now.pose, context.target_point);
  travel.target_point_shift_m =
      std::hypot(now.target_point.x - carried.x, now.target_point.y - carried.y);
  return travel;
}

}  // namespace automot::planning
