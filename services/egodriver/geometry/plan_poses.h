// From the model's trajectory to what the contract wants of a plan: poses of the rig in the local
// frame at 10 Hz for 5 s, led by the pose that the rig has now.
//
// - The first 3 s are the model's waypoints, with a monotone cubic between them. The last 2 s go on
//   at the last speed along the predicted route, moved sideways to where the waypoints ended;
//   where the route ends too, straight on.
// - The rig's origin, the rear axle, follows the model's origin as a trailer does, so that it never
//   slips sideways and keeps its heading where the vehicle stands.
// - z, pitch and roll are those of now.
//
// Pure.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "common/types/observation.h"
#include "common/types/trajectory.h"
#include "services/egodriver/geometry/egomotion_log.h"
#include "services/egodriver/geometry/rig_geometry.h"

namespace automot::egodriver {

inline constexpr SessionTimeUs kPlanStepUs = 100'000;
inline constexpr int kPlanPoses = 51;  // now, and 5 s

// `trajectory`: ego frame at `now`, whose origin lies `origin_ahead_m` ahead of the rig's. INTERNAL
// where it is not finite. Times rise strictly; the first pose is exactly `now`.
absl::StatusOr<std::vector<TimedPose>> PlanPoses(const Trajectory& trajectory, const TimedPose& now,
                                                 double origin_ahead_m);

}  // namespace automot::egodriver
