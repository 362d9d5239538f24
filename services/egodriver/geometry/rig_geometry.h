// Space of the egodriver contract, and the one place where it meets the model's.
//
//   local  per-scene inertial frame of the simulator, right-handed, z up, metres
//   rig    x forward, y LEFT, z up; origin on the ground under the rear axle
//   ego    the model's: x forward, y RIGHT; origin `origin_ahead_m` ahead of the rig's
//
// The engine's own local frame is this one with y negated, so that it has the ego frame's
// handedness (docs/frames_and_units.md). Pure.
#pragma once

#include "absl/status/status.h"
#include "common/types/geometry.h"

namespace automot::egodriver {

struct Vec3 {
  double x = 0.0, y = 0.0, z = 0.0;  // metres, or a direction
  friend bool operator==(const Vec3&, const Vec3&) = default;
};

// A unit quaternion.
struct Quat {
  double w = 1.0, x = 0.0, y = 0.0, z = 0.0;
  friend bool operator==(const Quat&, const Quat&) = default;
};

// Where the rig is in the local frame (active).
struct RigPose {
  Vec3 position;
  Quat rotation;
};

Quat Multiply(const Quat& a, const Quat& b);
Vec3 Rotate(const Quat& q, const Vec3& v);
inline Quat Conjugate(const Quat& q) { return {q.w, -q.x, -q.y, -q.z}; }
// A turn about z, positive to the left.
Quat AboutZ(double angle_rad);
// Direction of the rig's x axis over the ground, positive to the left.
double YawOf(const Quat& q);

// Makes `q` a unit quaternion. INVALID_ARGUMENT naming `field` where it is not finite or has no
// length.
absl::Status Normalise(const char* field, Quat* q);

// Between two poses, `ratio` of the way; the shorter turn.
RigPose Interpolate(const RigPose& from, const RigPose& to, double ratio);

// The model's ego pose in the engine's local frame.
Pose2 EgoPose(const RigPose& rig, double origin_ahead_m);
// A point of the rig frame in the ego frame.
inline Vec2 RigToEgo(const Vec3& point, double origin_ahead_m) {
  return {point.x - origin_ahead_m, -point.y};
}
// A point of the local frame in the engine's.
inline Vec2 LocalToEngine(const Vec3& point) { return {point.x, -point.y}; }

}  // namespace automot::egodriver
