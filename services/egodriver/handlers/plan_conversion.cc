#include "services/egodriver/handlers/plan_conversion.h"

#include <string>

#include "egodriver/carla_driver.pb.h"

namespace automot::egodriver {
namespace {

constexpr char kPolicyName[] = "automot";

void PoseToProto(const RigPose& pose, ::common::Pose* proto) {
  proto->mutable_vec()->set_x(static_cast<float>(pose.position.x));
  proto->mutable_vec()->set_y(static_cast<float>(pose.position.y));
  proto->mutable_vec()->set_z(static_cast<float>(pose.position.z));
  proto->mutable_quat()->set_w(static_cast<float>(pose.rotation.w));
  proto->mutable_quat()->set_x(static_cast<float>(pose.rotation.x));
  proto->mutable_quat()->set_y(static_cast<float>(pose.rotation.y));
  proto->mutable_quat()->set_z(static_cast<float>(pose.rotation.z));
}

std::string CarlaDebugInfo(const planning::PlanWork& work, absl::Duration took) {
  const planning::PlanResult& result = work.result;
  ::carla_driver::v0::CarlaDriveDebugInfo info;
  info.set_policy_name(kPolicyName);
  info.set_inference_seconds(static_cast<float>(absl::ToDoubleSeconds(took)));
  auto& scalars = *info.mutable_scalars();
  scalars["fallback"] = result.reasons.Has(Reason::kFallback) ? 1.0 : 0.0;
  scalars["no_lidar"] = result.reasons.Has(Reason::kNoLidar) ? 1.0 : 0.0;
  scalars["reasons"] = result.reasons.bits();
  scalars["parked_s"] = result.parked_s;
  if (result.snapshot.valid()) {
    scalars["context_staleness_s"] =
        static_cast<double>(work.capture_time_us - result.snapshot_capture_us) * 1e-6;
    scalars["context_version"] = static_cast<double>(result.snapshot.version);
  }
  return info.SerializeAsString();
}

}  // namespace

void DriveResponseFor(const DriveAnswer& answer, bool speaks_carla, absl::Duration took,
                      ::egodriver::DriveResponse* response) {
  for (const TimedPose& pose : answer.plan) {
    ::common::PoseAtTime* proto = response->mutable_trajectory()->add_poses();
    proto->set_timestamp_us(static_cast<uint64_t>(pose.time_us));
    PoseToProto(pose.pose, proto->mutable_pose());
  }
  if (speaks_carla) {
    response->mutable_debug_info()->set_unstructured_debug_info(CarlaDebugInfo(*answer.work, took));
  }
}

}  // namespace automot::egodriver
