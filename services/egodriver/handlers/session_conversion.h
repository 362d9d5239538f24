// egodriver.DriveSessionRequest -> StartRequest, whatever revision of the contract the client
// speaks.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "egodriver/egodriver.pb.h"
#include "services/egodriver/rollout.h"

namespace automot::egodriver {

// Metadata that names the revision: ours with get_version, the CARLA-side client's with
// start_session.
inline constexpr char kContractKey[] = "carla-driver-interface-contract";
// In revision 1 rig_to_camera is the camera's body (x ahead, y left, z up), in 2 its optical frame.
inline constexpr int kContractRevision = 2;

// `revision`: what the client says; absent where it says nothing (alpasim), which means optical.
// INVALID_ARGUMENT names field, value and limit.
absl::StatusOr<StartRequest> StartRequestFromProto(const ::egodriver::DriveSessionRequest& proto,
                                                   const std::optional<std::string>& revision);

}  // namespace automot::egodriver
