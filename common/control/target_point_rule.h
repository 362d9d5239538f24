// From a dense route ahead to the model's two target points, as a checkpoint's `target_point_rule`
// says. The Python bridge reads the same texts (client/python/automot_client/bridge/route.py); a
// test holds both to the same numbers.
//
//   route_distance:NEAR,FAR  the points NEAR and FAR metres ahead along the route; they slide
//   plan_points:SPACING      the next two of a plan with a point each SPACING metres, switched
//                            7.5 m before they are reached (spec 5.3)
//   carla_route_planner      plan_points:50
//
// Pure; any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/control/agent_rules.h"
#include "common/types/geometry.h"

namespace automot::control {

class TargetPointRule {
 public:
  struct Selection {
    TargetPoints targets;  // ego frame, metres
    int64_t switches = 0;  // how many target points the ego has come to so far
  };

  // INVALID_ARGUMENT naming the text and the forms.
  static absl::StatusOr<TargetPointRule> Parse(std::string_view text);

  // `route`: finite points of the route in the order of driving, ego frame, metres; it may begin
  // behind the ego or ahead of it. `travelled_m`: distance driven along the route so far. Without a
  // route, and beyond its end, the way goes on straight; a plan point is the route's last one
  // rather than one beyond it.
  Selection Select(absl::Span<const Vec2> route, double travelled_m) const;

 private:
  TargetPointRule(double near_m, double far_m, double spacing_m)
      : near_m_(near_m), far_m_(far_m), spacing_m_(spacing_m) {}

  double near_m_, far_m_;  // route_distance
  double spacing_m_;       // plan_points; 0: route_distance
};

}  // namespace automot::control
