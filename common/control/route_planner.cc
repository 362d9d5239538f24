#include "common/control/route_planner.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "absl/strings/str_cat.h"

namespace automot::control {
namespace {

constexpr double kReachM = 7.5;
constexpr double kLaneChangeReachM = 15.0;
constexpr double kSearchM = 50.0;  // of summed segment length
constexpr std::size_t kFewestPoints = 2;
constexpr double kPastTargetM = 5.0;
constexpr double kStraightAheadM = 50.0;
constexpr double kEarthRadiusM = 6378137.0;

double Distance(Vec2 a, Vec2 b) { return std::hypot(a.x - b.x, a.y - b.y); }

bool IsLaneChange(RoadOption option) {
  return option == RoadOption::kChangeLaneLeft || option == RoadOption::kChangeLaneRight;
}

// 5 m farther along the line from the ego to `target`; straight ahead where the ego stands on it.
Vec2 PastTarget(Vec2 target) {
  const double length = std::hypot(target.x, target.y);
  if (!(length > 0.0)) return {target.x + kPastTargetM, target.y};
  const double factor = (length + kPastTargetM) / length;
  return {target.x * factor, target.y * factor};
}

double MercatorY(double latitude_deg) {
  return std::log(std::tan((90.0 + latitude_deg) * std::numbers::pi / 360.0));
}

}  // namespace

absl::StatusOr<RoutePlanner> RoutePlanner::Create(std::vector<PlanPoint> plan) {
  for (std::size_t i = 0; i < plan.size(); ++i) {
    const Vec2 p = plan[i].position;
    if (!std::isfinite(p.x) || !std::isfinite(p.y)) {
      return absl::InvalidArgumentError(absl::StrCat("plan[", i, "].position is (", p.x, ", ", p.y,
                                                     "); both coordinates must be finite"));
    }
  }
  return RoutePlanner(std::move(plan));
}

// Lane changes come in short segments: the car may drop a point of one from farther away. The very
// last point of a plan has no following one and is an ordinary point.
double RoutePlanner::ReachM(std::size_t index) const {
  if (!IsLaneChange(plan_[index].option) || index + 1 >= plan_.size()) return kReachM;
  const PlanPoint& following = plan_[index + 1];
  const bool short_segment = Distance(plan_[index].position, following.position) < kReachM;
  return short_segment || following.option == RoadOption::kLaneFollow ? kLaneChangeReachM : kReachM;
}

void RoutePlanner::DropPassed(Vec2 ego) {
  if (remaining() <= kFewestPoints) return;
  double searched = 0.0, farthest = -1.0;
  std::size_t first = first_;
  for (std::size_t i = first_ + 1; i < plan_.size() && searched <= kSearchM; ++i) {
    searched += Distance(plan_[i].position, plan_[i - 1].position);
    const double distance = Distance(plan_[i].position, ego);
    if (distance <= ReachM(i) && distance > farthest) {
      farthest = distance;
      first = i;
    }
  }
  first_ = std::min(first, plan_.size() - kFewestPoints);
}

TargetPoints RoutePlanner::Step(const Pose2& ego) {
  DropPassed(ego.position);
  const std::size_t left = remaining();
  TargetPoints targets;
  targets.current =
      left >= 2 ? LocalToEgo(ego, plan_[first_ + 1].position) : Vec2{kStraightAheadM, 0.0};
  targets.next =
      left >= 3 ? LocalToEgo(ego, plan_[first_ + 2].position) : PastTarget(targets.current);
  return targets;
}

void RoutePlanner::Pop(std::size_t count, std::size_t keep) {
  const std::size_t spare = remaining() > keep ? remaining() - keep : 0;
  first_ += std::min(count, spare);
}

Vec2 GnssToLocal(const GeoPoint& point, const GeoPoint& reference) {
  const double scale = std::cos(reference.latitude_deg * std::numbers::pi / 180.0) * kEarthRadiusM;
  const double east =
      scale * std::numbers::pi / 180.0 * (point.longitude_deg - reference.longitude_deg);
  const double north = scale * (MercatorY(point.latitude_deg) - MercatorY(reference.latitude_deg));
  return {east, -north};
}

}  // namespace automot::control
