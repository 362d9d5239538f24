#include "services/planning/policy/fallback.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace automot::planning {
namespace {

constexpr double kRouteSpacingM = 1.0;
constexpr double kMinPieceM = 1e-3;

Vec2 Minus(Vec2 a, Vec2 b) { return {a.x - b.x, a.y - b.y}; }
double Dot(Vec2 a, Vec2 b) { return a.x * b.x + a.y * b.y; }

// A path from the ego origin as points with their distance along it. It never doubles back: the
// first piece leaves within 45 degrees of the ego's heading, every other one turns by less than 90
// degrees.
struct Path {
  std::array<Vec2, kRoutePoints + 1> points{};
  std::array<double, kRoutePoints + 1> along{};
  int size = 1;  // the origin

  // Leaves out a point that the path cannot go on to.
  void Add(Vec2 point) {
    const Vec2 piece = Minus(point, points[size - 1]);
    const double step = std::hypot(piece.x, piece.y);
    if (!(step > kMinPieceM) || !GoesOn(piece)) return;
    points[size] = point;
    along[size] = along[size - 1] + step;
    ++size;
  }

  bool GoesOn(Vec2 piece) const {
    if (size == 1) return piece.x >= std::abs(piece.y);
    return Dot(piece, Minus(points[size - 1], points[size - 2])) > 0.0;
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

// The last good route in the current ego frame, from where the car was then.
using MovedRoute = std::array<Vec2, kRoutePoints + 1>;

MovedRoute MoveRoute(const LastGoodRoute& last_good, const Pose2& pose) {
  MovedRoute moved;
  moved[0] = EgoToEgo(*last_good.pose, pose, {});
  for (int i = 0; i < kRoutePoints; ++i) {
    moved[i + 1] = EgoToEgo(*last_good.pose, pose, last_good.trajectory.route[i]);
  }
  return moved;
}

// Squared distance of the ego origin from the piece between two points.
double DistanceToPiece(Vec2 from, Vec2 to) {
  const Vec2 piece = Minus(to, from);
  const double length = Dot(piece, piece);
  const double t = length > 0.0 ? std::clamp(-Dot(from, piece) / length, 0.0, 1.0) : 0.0;
  const Vec2 nearest = {from.x + t * piece.x, from.y + t * piece.y};
  return Dot(nearest, nearest);
}

// The part of the last good route that still lies ahead: from the end of the piece nearest to the
// car on.
Path RemainingPath(const FallbackInputs& inputs) {
  Path path;
  if (!Usable(inputs)) return path;
  const MovedRoute route = MoveRoute(*inputs.last_good, *inputs.pose);
  const bool finite = std::all_of(route.begin(), route.end(), [](Vec2 point) {
    return std::isfinite(point.x) && std::isfinite(point.y);
  });
  if (!finite) return path;
  std::size_t next = 1;
  for (std::size_t i = 2; i < route.size(); ++i) {
    if (DistanceToPiece(route[i - 1], route[i]) < DistanceToPiece(route[next - 1], route[next])) {
      next = i;
    }
  }
  for (; next < route.size(); ++next) path.Add(route[next]);
  return path;
}

}  // namespace

Trajectory PlanFallback(const FallbackInputs& inputs) {
  const Path path = RemainingPath(inputs);
  const double speed = std::isfinite(inputs.speed_mps) ? std::max(inputs.speed_mps, 0.0) : 0.0;
  const double deceleration = inputs.deceleration_mps2;
  const double stop_s = speed / deceleration;
  Trajectory trajectory;
  for (int i = 0; i < kWaypoints; ++i) {
    const double t = std::min((i + 1) * kWaypointSpacingSeconds, stop_s);
    trajectory.waypoints[i] = path.At(speed * t - 0.5 * deceleration * t * t);
  }
  for (int i = 0; i < kRoutePoints; ++i) trajectory.route[i] = path.At((i + 1) * kRouteSpacingM);
  return trajectory;
}

Decision FallbackDecision(SessionTimeUs capture_time_us) {
  Decision decision;
  decision.slot_count = kDecisionSlots;
  for (int i = 0; i < kDecisionSlots; ++i) {
    decision.slots[i] = {.time_us = capture_time_us + i * SessionTimeUs{1'000'000},
                         .longitudinal = LongitudinalAction::kStop,
                         .text = InlineText<31>("stop"),
                         .probability = 1.0F};
  }
  return decision;
}

}  // namespace automot::planning
