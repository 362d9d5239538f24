#include "common/lidar/point_transform.h"

#include <cmath>
#include <numbers>

namespace automot::lidar {

PointTransform TransformSensorToEgo(const SensorMount& mount) {
  const double yaw_rad = mount.yaw_deg * (std::numbers::pi / 180.0);
  return {.cos_yaw = std::cos(yaw_rad),
          .sin_yaw = std::sin(yaw_rad),
          .after = mount.position_sensor_in_ego};
}

PointTransform TransformLastToNow(const Pose2& last, const Pose2& now) {
  const Vec2 displacement =
      LocalToEgo({{0.0, 0.0}, now.yaw_rad},
                 {now.position.x - last.position.x, now.position.y - last.position.y});
  const double turn_rad = WrapAngle(now.yaw_rad - last.yaw_rad);
  return {.before = {displacement.x, displacement.y, 0.0},
          .cos_yaw = std::cos(turn_rad),
          .sin_yaw = -std::sin(turn_rad)};
}

std::vector<double> TransformPoints(absl::Span<const double> points,
                                    const PointTransform& transform) {
  std::vector<double> moved;
  moved.reserve(points.size());
  for (size_t i = 0; i + 3 <= points.size(); i += 3) {
    const Point3 point = transform.Apply({points[i], points[i + 1], points[i + 2]});
    moved.insert(moved.end(), {point.x, point.y, point.z});
  }
  return moved;
}

}  // namespace automot::lidar
