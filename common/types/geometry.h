// Plane geometry in the two frames of the contract (docs/frames_and_units.md).
//
//   ego    x forward, y RIGHT, metres; origin at the vehicle's reference point at the capture time.
//   local  fixed by the client for an episode; any origin; of the same handedness as ego.
//
// A yaw turns x onto y: it is positive to the right, as in CARLA.
#pragma once

#include <cmath>
#include <numbers>

namespace automot {

struct Vec2 {
  double x = 0.0;  // metres
  double y = 0.0;  // metres
  friend bool operator==(const Vec2&, const Vec2&) = default;
};

// Pose of the ego frame in the local frame (active: transform_ego_to_local).
struct Pose2 {
  Vec2 position;       // position_ego_in_local, metres
  double yaw_rad = 0;  // radians, any range
  friend bool operator==(const Pose2&, const Pose2&) = default;
};

inline double WrapAngle(double angle_rad) {
  return std::remainder(angle_rad, 2.0 * std::numbers::pi);
}

// Maps a point of the ego frame at `pose` to the local frame.
inline Vec2 EgoToLocal(const Pose2& pose, Vec2 point_in_ego) {
  const double c = std::cos(pose.yaw_rad), s = std::sin(pose.yaw_rad);
  return {pose.position.x + c * point_in_ego.x - s * point_in_ego.y,
          pose.position.y + s * point_in_ego.x + c * point_in_ego.y};
}

// Maps a point of the local frame to the ego frame at `pose`.
inline Vec2 LocalToEgo(const Pose2& pose, Vec2 point_in_local) {
  const double c = std::cos(pose.yaw_rad), s = std::sin(pose.yaw_rad);
  const double dx = point_in_local.x - pose.position.x, dy = point_in_local.y - pose.position.y;
  return {c * dx + s * dy, -s * dx + c * dy};
}

// Maps a point of the ego frame at `from` to the ego frame at `to`.
inline Vec2 EgoToEgo(const Pose2& from, const Pose2& to, Vec2 point_in_from) {
  return LocalToEgo(to, EgoToLocal(from, point_in_from));
}

}  // namespace automot
