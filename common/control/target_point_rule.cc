#include "common/control/target_point_rule.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace automot::control {
namespace {

constexpr double kSwitchDistanceM = 7.5;
constexpr double kPastTargetM = 5.0;
constexpr double kPublishedSpacingM = 50.0;
constexpr double kBesideM = 0.1;  // nearer than this the route begins at the ego
constexpr double kShortestSegmentM = 1e-6;

double Distance(Vec2 a, Vec2 b) { return std::hypot(a.x - b.x, a.y - b.y); }

Vec2 Towards(Vec2 from, Vec2 to, double ratio) {
  return {from.x + ratio * (to.x - from.x), from.y + ratio * (to.y - from.y)};
}

// What is left of the route from the ego on.
class RouteAhead {
 public:
  explicit RouteAhead(absl::Span<const Vec2> route) {
    std::size_t next = 0;
    const Vec2 beside = Nearest(route, &next);
    // A route that begins farther on is reached straight.
    if (route.empty() || next == 0) points_.push_back({0.0, 0.0});
    if (next > 0) points_.push_back(beside);
    for (; next < route.size(); ++next) {
      const double step = Distance(points_.back(), route[next]);
      if (step < kShortestSegmentM || (points_.size() == 1 && step < kBesideM)) continue;
      length_m_ += step;
      points_.push_back(route[next]);
    }
    direction_ = Direction(route);
  }

  double length_m() const { return length_m_; }
  bool empty() const { return points_.size() < 2; }

  Vec2 At(double distance_m) const {
    for (std::size_t i = 1; i < points_.size(); ++i) {
      const double step = Distance(points_[i - 1], points_[i]);
      if (distance_m <= step) return Towards(points_[i - 1], points_[i], distance_m / step);
      distance_m -= step;
    }
    const Vec2 end = points_.back();
    return {end.x + distance_m * direction_.x, end.y + distance_m * direction_.y};
  }

 private:
  // The point of the route nearest to the ego, and the first route point after it: 0 where the
  // route begins ahead.
  static Vec2 Nearest(absl::Span<const Vec2> route, std::size_t* next) {
    *next = 0;
    if (route.empty()) return {};
    Vec2 best = route[0];
    for (std::size_t i = 1; i < route.size(); ++i) {
      const Vec2 a = route[i - 1], b = route[i];
      const double dx = b.x - a.x, dy = b.y - a.y, length2 = dx * dx + dy * dy;
      if (length2 < kShortestSegmentM * kShortestSegmentM) continue;
      const double ratio = std::clamp(-(a.x * dx + a.y * dy) / length2, 0.0, 1.0);
      const Vec2 foot = Towards(a, b, ratio);
      if (Distance(foot, {}) >= Distance(best, {})) continue;
      best = foot;
      *next = ratio > 0.0 ? i : *next;
    }
    // It begins beside the ego rather than ahead of it.
    if (*next == 0 && route[0].x < kBesideM) *next = 1;
    return best;
  }

  // Of the last segment; straight ahead where there is none.
  Vec2 Direction(absl::Span<const Vec2> route) const {
    Vec2 from, to;
    if (points_.size() >= 2) {
      from = points_[points_.size() - 2];
      to = points_.back();
    } else if (route.size() >= 2) {
      from = route[route.size() - 2];
      to = route.back();
    }
    const double length = Distance(from, to);
    if (length < kShortestSegmentM) return {1.0, 0.0};
    return {(to.x - from.x) / length, (to.y - from.y) / length};
  }

  std::vector<Vec2> points_;
  double length_m_ = 0.0;
  Vec2 direction_;
};

// 5 m farther along the line from the ego to `target`.
Vec2 PastTarget(Vec2 target) {
  const double length = std::hypot(target.x, target.y);
  if (!(length > 0.0)) return {target.x + kPastTargetM, target.y};
  const double factor = (length + kPastTargetM) / length;
  return {target.x * factor, target.y * factor};
}

bool ParseDistance(std::string_view text, double* value) {
  return absl::SimpleAtod(absl::string_view(text.data(), text.size()), value) && *value > 0.0 &&
         std::isfinite(*value);
}

}  // namespace

absl::StatusOr<TargetPointRule> TargetPointRule::Parse(std::string_view text) {
  if (text == "carla_route_planner") return TargetPointRule(0.0, 0.0, kPublishedSpacingM);
  absl::string_view rest(text.data(), text.size());
  double near_m = 0.0, far_m = 0.0;
  if (absl::ConsumePrefix(&rest, "route_distance:")) {
    const std::vector<std::string> parts = absl::StrSplit(rest, ',');
    if (parts.size() == 2 && ParseDistance(parts[0], &near_m) && ParseDistance(parts[1], &far_m) &&
        far_m > near_m) {
      return TargetPointRule(near_m, far_m, 0.0);
    }
  } else if (absl::ConsumePrefix(&rest, "plan_points:")) {
    if (ParseDistance({rest.data(), rest.size()}, &near_m))
      return TargetPointRule(0.0, 0.0, near_m);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("target_point_rule is '", absl::string_view(text.data(), text.size()),
                   "'; it must be route_distance:NEAR,FAR with rising distances above 0, "
                   "plan_points:SPACING or carla_route_planner"));
}

TargetPointRule::Selection TargetPointRule::Select(absl::Span<const Vec2> route,
                                                   double travelled_m) const {
  const RouteAhead ahead(route);
  Selection selection;
  if (spacing_m_ == 0.0) {
    selection.targets = {ahead.At(near_m_), ahead.At(far_m_)};
    return selection;
  }
  const double reached = std::floor((travelled_m + kSwitchDistanceM) / spacing_m_);
  selection.switches = static_cast<int64_t>(reached);
  const auto plan_point = [&](double index) { return index * spacing_m_ - travelled_m; };
  double first = plan_point(reached + 1.0), second = plan_point(reached + 2.0);
  if (!ahead.empty()) {
    first = std::min(first, ahead.length_m());
    second = std::min(second, ahead.length_m());
  }
  selection.targets.current = ahead.At(first);
  selection.targets.next =
      second > first ? ahead.At(second) : PastTarget(selection.targets.current);
  return selection;
}

}  // namespace automot::control
