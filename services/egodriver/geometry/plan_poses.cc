#include "services/egodriver/geometry/plan_poses.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/control/pchip.h"
#include "common/status/status_macros.h"

namespace automot::egodriver {
namespace {

constexpr double kFurthestM = 1e4;     // of a predicted point
constexpr double kStandingMps = 0.05;  // slower than this the plan ends where it is
constexpr double kOwnRouteM = 3.0;     // farther off the waypoints are not on the route
constexpr double kShortestMoveM = 1e-3;
constexpr double kStepS = static_cast<double>(kPlanStepUs) * 1e-6;
constexpr double kModelS = kWaypoints * kWaypointSpacingSeconds;

double Distance(Vec2 a, Vec2 b) { return std::hypot(a.x - b.x, a.y - b.y); }

absl::Status CheckFinite(const char* what, const Vec2& point) {
  if (std::abs(point.x) <= kFurthestM && std::abs(point.y) <= kFurthestM) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("the planned ", what, " holds (", point.x, ", ", point.y,
                                          "); the limit is ", kFurthestM, " m"));
}

// The predicted route as a line from the vehicle on.
class PredictedRoute {
 public:
  explicit PredictedRoute(const Trajectory& trajectory) {
    std::copy(trajectory.route.begin(), trajectory.route.end(), points_.begin() + 1);
  }

  // Arc length of the point nearest to `place`, and how far off that is.
  double Nearest(Vec2 place, double* off_m) const {
    double travelled = 0.0, best = 0.0;
    *off_m = Distance(points_[0], place);
    for (std::size_t i = 1; i < points_.size(); ++i) {
      const Vec2 a = points_[i - 1], b = points_[i];
      const double step = Distance(a, b);
      if (step < kShortestMoveM) continue;
      const double along = std::clamp(
          ((place.x - a.x) * (b.x - a.x) + (place.y - a.y) * (b.y - a.y)) / step, 0.0, step);
      const Vec2 foot = Between(a, b, along / step);
      if (const double off = Distance(foot, place); off < *off_m) {
        *off_m = off;
        best = travelled + along;
      }
      travelled += step;
    }
    return best;
  }

  // At an arc length; beyond the end straight on.
  Vec2 At(double distance_m) const {
    Vec2 a = points_[0], b = points_[0];
    double step = 0.0;
    for (std::size_t i = 1; i < points_.size(); ++i) {
      const double length = Distance(points_[i - 1], points_[i]);
      if (length < kShortestMoveM) continue;
      distance_m -= step;
      a = points_[i - 1], b = points_[i], step = length;
      if (distance_m <= step) break;
    }
    return step > 0.0 ? Between(a, b, distance_m / step) : a;
  }

 private:
  static Vec2 Between(Vec2 a, Vec2 b, double ratio) {
    return {a.x + ratio * (b.x - a.x), a.y + ratio * (b.y - a.y)};
  }

  std::array<Vec2, kRoutePoints + 1> points_{};  // the first one is the vehicle
};

// Where the model's origin is at a time of the plan, ego frame.
class OriginPath {
 public:
  explicit OriginPath(const Trajectory& trajectory) : route_(trajectory) {
    std::array<double, kWaypoints + 1> t{}, x{}, y{};
    for (int i = 0; i < kWaypoints; ++i) {
      t[i + 1] = (i + 1) * kWaypointSpacingSeconds;
      x[i + 1] = trajectory.waypoints[i].x;
      y[i + 1] = trajectory.waypoints[i].y;
    }
    x_.Fit(t, x);
    y_.Fit(t, y);
    last_ = trajectory.waypoints[kWaypoints - 1];
    const Vec2 before = trajectory.waypoints[kWaypoints - 2];
    const double step = Distance(before, last_);
    speed_mps_ = step / kWaypointSpacingSeconds;
    if (step > kShortestMoveM)
      direction_ = {(last_.x - before.x) / step, (last_.y - before.y) / step};
    double off_m = 0.0;
    on_route_m_ = route_.Nearest(last_, &off_m);
    follows_route_ = off_m <= kOwnRouteM;
  }

  Vec2 At(double seconds) const {
    if (seconds <= kModelS) return {x_(seconds), y_(seconds)};
    if (speed_mps_ < kStandingMps) return last_;
    const double beyond = speed_mps_ * (seconds - kModelS);
    if (!follows_route_) return {last_.x + beyond * direction_.x, last_.y + beyond * direction_.y};
    const Vec2 from = route_.At(on_route_m_), to = route_.At(on_route_m_ + beyond);
    return {last_.x + to.x - from.x, last_.y + to.y - from.y};
  }

 private:
  control::Pchip<kWaypoints + 1> x_, y_;
  PredictedRoute route_;
  Vec2 last_;
  Vec2 direction_{1.0, 0.0};
  double speed_mps_ = 0.0;
  double on_route_m_ = 0.0;
  bool follows_route_ = false;
};

// Pulls the rig's origin along: ego frame, positions of the rear axle and the heading (to the
// right, as the frame has it).
class Trailer {
 public:
  explicit Trailer(double origin_ahead_m) : ahead_m_(origin_ahead_m) {}

  void Follow(Vec2 origin) {
    const Vec2 from = ahead_m_ > kShortestMoveM ? RearAxle() : origin_;
    const double dx = origin.x - from.x, dy = origin.y - from.y;
    // Without a drawbar the heading is that of the move, backwards moves apart.
    const bool turns = std::hypot(dx, dy) > kShortestMoveM &&
                       dx * std::cos(heading_) + dy * std::sin(heading_) > 0.0;
    if (turns) heading_ = std::atan2(dy, dx);
    origin_ = origin;
  }
  Vec2 RearAxle() const {
    return {origin_.x - ahead_m_ * std::cos(heading_), origin_.y - ahead_m_ * std::sin(heading_)};
  }
  double heading_rad() const { return heading_; }

 private:
  const double ahead_m_;
  Vec2 origin_;
  double heading_ = 0.0;
};

}  // namespace

absl::StatusOr<std::vector<TimedPose>> PlanPoses(const Trajectory& trajectory, const TimedPose& now,
                                                 double origin_ahead_m) {
  for (const Vec2& p : trajectory.route) AUTOMOT_RETURN_IF_ERROR(CheckFinite("route", p));
  for (const Vec2& p : trajectory.waypoints) AUTOMOT_RETURN_IF_ERROR(CheckFinite("waypoints", p));
  const OriginPath path(trajectory);
  const double yaw = YawOf(now.pose.rotation);
  Trailer trailer(origin_ahead_m);
  std::vector<TimedPose> poses;
  poses.reserve(kPlanPoses);
  poses.push_back({now.time_us, now.pose, std::nullopt});
  for (int i = 1; i < kPlanPoses; ++i) {
    trailer.Follow(path.At(i * kStepS));
    const Vec2 in_ego = trailer.RearAxle();
    // Back to the rig's frame of now: its origin, y to the left.
    const double x = in_ego.x + origin_ahead_m, y = -in_ego.y;
    TimedPose& pose = poses.emplace_back();
    pose.time_us = now.time_us + i * kPlanStepUs;
    pose.pose.position = {now.pose.position.x + x * std::cos(yaw) - y * std::sin(yaw),
                          now.pose.position.y + x * std::sin(yaw) + y * std::cos(yaw),
                          now.pose.position.z};
    pose.pose.rotation = Multiply(AboutZ(-trailer.heading_rad()), now.pose.rotation);
  }
  return poses;
}

}  // namespace automot::egodriver
