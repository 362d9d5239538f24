#include "common/checkpoint/driving_rig.h"

#include "absl/strings/str_cat.h"
#include "common/checkpoint/json_file.h"
#include "common/status/status_macros.h"

namespace automot::model {
namespace {

constexpr char kFile[] = "automot_dims.json";
constexpr size_t kMaxBytes = size_t{1} << 20;

}  // namespace

absl::StatusOr<DrivingRig> ReadDrivingRig(const std::string& directory) {
  DrivingRig rig;
  const auto text = ReadTextFile(absl::StrCat(directory, "/", kFile), kMaxBytes);
  if (absl::IsNotFound(text.status())) return rig;
  AUTOMOT_RETURN_IF_ERROR(text.status());
  AUTOMOT_ASSIGN_OR_RETURN(const nlohmann::json document, ParseJson(*text, kFile));
  JsonFields dims(document, kFile);
  rig.camera_fov_deg = dims.DoubleOr("camera_fov_deg", rig.camera_fov_deg, 10.0, 170.0);
  rig.rear_axle_behind_origin_m =
      dims.DoubleOr("rear_axle_behind_origin_m", rig.rear_axle_behind_origin_m, 0.0, 10.0);
  AUTOMOT_RETURN_IF_ERROR(dims.status());
  return rig;
}

}  // namespace automot::model
