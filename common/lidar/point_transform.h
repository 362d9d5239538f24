// Rigid transforms of LiDAR points, in float64 as in the reference (spec 3.6).
#pragma once

#include <vector>

#include "absl/types/span.h"
#include "common/types/geometry.h"

namespace automot::lidar {

struct Point3 {
  double x = 0, y = 0, z = 0;  // metres
  friend bool operator==(const Point3&, const Point3&) = default;
};

// p -> R(yaw) (p - before) + after, with R about the z axis. Default: identity.
struct PointTransform {
  Point3 before;
  double cos_yaw = 1.0;
  double sin_yaw = 0.0;
  Point3 after;

  Point3 Apply(Point3 p) const {
    const double x = p.x - before.x, y = p.y - before.y, z = p.z - before.z;
    return {cos_yaw * x - sin_yaw * y + after.x, sin_yaw * x + cos_yaw * y + after.y, z + after.z};
  }
};

// Where the sensor sits: a point of the sensor frame is turned by `yaw_rad`, then moved by
// `position_sensor_in_ego`. Default: the published sensor suite.
struct SensorMount {
  Point3 position_sensor_in_ego = {0.0, 0.0, 2.5};
  double yaw_deg = -90.0;
};
PointTransform TransformSensorToEgo(const SensorMount& mount = {});

// From the ego frame at `last` to the ego frame at `now`, by the reference's formula: the
// displacement is expressed in the axes of `now` but subtracted before the turn, in the axes of
// `last`. Exact for equal yaws; with both it is off by displacement x yaw change (some centimetres
// within one half sweep). The network saw this in training.
PointTransform TransformLastToNow(const Pose2& last, const Pose2& now);

// points: `[n, 3]`, float64, metres. Trailing values that make no point are ignored.
std::vector<double> TransformPoints(absl::Span<const double> points,
                                    const PointTransform& transform);

}  // namespace automot::lidar
