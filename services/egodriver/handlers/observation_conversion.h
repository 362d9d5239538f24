// What a simulator reports, from the contract's messages to plain structs. Every refusal is
// INVALID_ARGUMENT naming field, value and limit.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "egodriver/egodriver.pb.h"
#include "services/egodriver/rollout.h"

namespace automot::egodriver {

absl::StatusOr<SessionTimeUs> TimeFromProto(const char* field, uint64_t time_us);

// `field` leads to the pose. The quaternion is made a unit one.
absl::StatusOr<RigPose> PoseFromProto(const std::string& field, const ::common::Pose& proto);

// Times in any order. States are absent, or one for each pose.
absl::StatusOr<std::vector<TimedPose>> PosesFromProto(
    const ::egodriver::RolloutEgoTrajectory& proto);

// Waypoints up to the first whose x or y is not a number.
absl::StatusOr<RouteReport> RouteFromProto(const ::egodriver::Route& proto);

// The sweeps that the CARLA-side client packs into renderer_data, as points of the ego frame.
// Nothing where `renderer_data` holds none, or is something else: that is no error. Points that are
// not finite are left out, as are sweeps whose bytes are not as many as they say.
std::optional<LidarMeasurement> LidarFromRendererData(const std::string& renderer_data,
                                                      double origin_ahead_m, SessionTimeUs now_us);

}  // namespace automot::egodriver
