#include "services/planning/policy/fallback.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace automot::planning {
namespace {

constexpr double kRouteSpacingM = 1.0;

// A path from the ego origin as points with their distance along it.
struct Path {
  std::array<Vec2, kRoutePoints + 1> points{};
  std::array<double, kRoutePoints + 1> along{};
  int size = 1;  // the origin

  void Add(Vec2 point) {
    const Vec2 last = points[size - 1];
    const double step = std::hypot(point.x - last.x, point.y - last.y);
    if (!(step > 1e-3)) return;
    points[size] = point;
    along[size] = along[size - 1] + step;
    ++size;
  }

  // Beyond its end the path goes on straight.
  Vec2 At(double distance) const {
    if (size == 1) return {distance, 0.0};
    int end = 1;
    while (end + 1 < size && along[end] < distance) ++end;
    const Vec2 a = points[end - 1], b = points[end];
    const double t = (distance - along[end - 1]) / (along[end] - along[end - 1]);
    return {a.x + t * (b.x - a.x), a.y + t * (b.y - a.y)};
  }
};

bool Usable(const FallbackInputs& inputs) {
  if (inputs.last_good == nullptr || !inputs.pose || !inputs.last_good->pose) return false;
  const SessionTimeUs age = inputs.capture_time_us - inputs.last_good->capture_time_us;
  return age >= 0 && age <= kLastGoodRouteMaxAgeUs;
}

// The part of the last good route that still lies ahead, in the current ego frame.
Path RemainingPath(const FallbackInputs& inputs) {
  Path path;
  if (!Usable(inputs)) return path;
  for (const Vec2& point : inputs.last_good->trajectory.route) {
    const Vec2 now = EgoToEgo(*inputs.last_good->pose, *inputs.pose, point);
    if (std::isfinite(now.x) && std::isfinite(now.y) && now.x > 0.0) path.Add(now);
  }
  return path;
}

}  // namespace

Trajectory PlanFallback(const FallbackInputs& inputs) {
  const Path path = RemainingPath(inputs);
  const double speed = std::isfinite(inputs.speed_mps) ? std::max(inputs.speed_mps, 0.0) : 0.0;
  const double stop_s = speed / kFallbackDecelerationMps2;
  Trajectory trajectory;
  for (int i = 0; i < kWaypoints; ++i) {
    const double t = std::min((i + 1) * kWaypointSpacingSeconds, stop_s);
    trajectory.waypoints[i] = path.At(speed * t - 0.5 * kFallbackDecelerationMps2 * t * t);
  }
  for (int i = 0; i < kRoutePoints; ++i) trajectory.route[i] = path.At((i + 1) * kRouteSpacingM);
  return trajectory;
}

Decision FallbackDecision(SessionTimeUs capture_time_us) {
  Decision decision;
  decision.slot_count = kDecisionSlots;
  for (int i = 0; i < kDecisionSlots; ++i) {
    decision.slots[i] = {.time_us = capture_time_us + i * 1'000'000,
                         .longitudinal = LongitudinalAction::kStop,
                         .text = InlineText<31>("stop"),
                         .probability = 1.0F};
  }
  return decision;
}

}  // namespace automot::planning
