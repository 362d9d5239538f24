// automot.v1 geometry <-> plain types.
#pragma once

#include "automot/v1/geometry.pb.h"
#include "common/types/geometry.h"

namespace automot::conversion {

inline void ToProto(const Vec2& point, v1::Vec2* proto) {
  proto->set_x(point.x);
  proto->set_y(point.y);
}
inline Vec2 FromProto(const v1::Vec2& proto) { return {proto.x(), proto.y()}; }

inline void ToProto(const Pose2& pose, v1::Pose2* proto) {
  ToProto(pose.position, proto->mutable_position());
  proto->set_yaw_rad(pose.yaw_rad);
}
inline Pose2 FromProto(const v1::Pose2& proto) {
  return {FromProto(proto.position()), proto.yaw_rad()};
}

}  // namespace automot::conversion
