#include "services/egodriver/geometry/rig_geometry.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace automot::egodriver {
namespace {

constexpr double kShortestQuat = 1e-3;

double Norm(const Quat& q) { return std::sqrt(q.w * q.w + q.x * q.x + q.y * q.y + q.z * q.z); }

}  // namespace

Quat Multiply(const Quat& a, const Quat& b) {
  return {
      a.w * b.w - a.x * b.x - a.y * b.y - a.z * b.z, a.w * b.x + a.x * b.w + a.y * b.z - a.z * b.y,
      a.w * b.y - a.x * b.z + a.y * b.w + a.z * b.x, a.w * b.z + a.x * b.y - a.y * b.x + a.z * b.w};
}

Vec3 Rotate(const Quat& q, const Vec3& v) {
  const Quat r = Multiply(Multiply(q, {0.0, v.x, v.y, v.z}), Conjugate(q));
  return {r.x, r.y, r.z};
}

Quat AboutZ(double angle_rad) {
  return {std::cos(angle_rad / 2), 0.0, 0.0, std::sin(angle_rad / 2)};
}

double YawOf(const Quat& q) {
  const Vec3 forward = Rotate(q, {1.0, 0.0, 0.0});
  return std::atan2(forward.y, forward.x);
}

absl::Status Normalise(const char* field, Quat* q) {
  const double norm = Norm(*q);
  if (!std::isfinite(norm) || norm < kShortestQuat) {
    return absl::InvalidArgumentError(absl::StrCat(field, " is (", q->w, ", ", q->x, ", ", q->y,
                                                   ", ", q->z,
                                                   "); it must be finite and not zero"));
  }
  *q = {q->w / norm, q->x / norm, q->y / norm, q->z / norm};
  return absl::OkStatus();
}

RigPose Interpolate(const RigPose& from, const RigPose& to, double ratio) {
  const auto mix = [ratio](double a, double b) { return a + ratio * (b - a); };
  const Quat& a = from.rotation;
  const Quat& b = to.rotation;
  const double sign = a.w * b.w + a.x * b.x + a.y * b.y + a.z * b.z < 0.0 ? -1.0 : 1.0;
  Quat q{mix(a.w, sign * b.w), mix(a.x, sign * b.x), mix(a.y, sign * b.y), mix(a.z, sign * b.z)};
  // Opposite rotations have no middle.
  if (!Normalise("rotation", &q).ok()) q = ratio < 0.5 ? a : b;
  return {{mix(from.position.x, to.position.x), mix(from.position.y, to.position.y),
           mix(from.position.z, to.position.z)},
          q};
}

Pose2 EgoPose(const RigPose& rig, double origin_ahead_m) {
  const double yaw = YawOf(rig.rotation);
  return {{rig.position.x + origin_ahead_m * std::cos(yaw),
           -(rig.position.y + origin_ahead_m * std::sin(yaw))},
          -yaw};
}

}  // namespace automot::egodriver
