// Where a checkpoint's sensors sat on its vehicle, as far as a client of other conventions must
// know: optional fields of automot_dims.json, else what the published agent has (spec 2.2).
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace automot::model {

struct DrivingRig {
  double camera_fov_deg = 110.0;  // horizontal, of a pinhole that looks straight ahead
  // How far the rear axle lies behind the origin of the ego frame, metres. CARLA's origin is the
  // vehicle's middle; a car's rear axle is about 1.4 m behind it.
  double rear_axle_behind_origin_m = 1.4;
};

// Of the checkpoint in `directory`. INVALID_ARGUMENT naming the field and its limits.
absl::StatusOr<DrivingRig> ReadDrivingRig(const std::string& directory);

}  // namespace automot::model
