#include "services/egodriver/handlers/session_conversion.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/logging/log.h"
#include "common/status/status_macros.h"
#include "services/egodriver/handlers/observation_conversion.h"

namespace automot::egodriver {
namespace {

namespace wire = ::egodriver;
namespace sensorsim = ::nre::grpc::protos::sensorsim;

constexpr int kMaxCameras = 64;
constexpr uint32_t kMaxSide = 65535;
constexpr std::size_t kMaxText = 256;
// The optical frame in the body frame: x right, y down, z ahead.
constexpr Quat kOpticalInBody = {0.5, -0.5, 0.5, -0.5};

// At most as many as there is room for; more is an error.
template <typename Values, std::size_t kCount>
absl::Status Copy(const std::string& field, const Values& from, std::array<double, kCount>* to,
                  std::size_t most = kCount) {
  if (static_cast<std::size_t>(from.size()) > most) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, " has ", from.size(), " values; the limit is ", most));
  }
  std::copy(from.begin(), from.end(), to->begin());
  return absl::OkStatus();
}

absl::StatusOr<Lens> PinholeFromProto(const std::string& name,
                                      const sensorsim::OpenCVPinholeCameraParam& proto) {
  Lens lens;
  lens.principal_point = {proto.principal_point_x(), proto.principal_point_y()};
  lens.focal_length = {proto.focal_length_x(), proto.focal_length_y()};
  AUTOMOT_RETURN_IF_ERROR(Copy(name + ".radial_coeffs", proto.radial_coeffs(), &lens.radial));
  AUTOMOT_RETURN_IF_ERROR(
      Copy(name + ".tangential_coeffs", proto.tangential_coeffs(), &lens.tangential));
  AUTOMOT_RETURN_IF_ERROR(
      Copy(name + ".thin_prism_coeffs", proto.thin_prism_coeffs(), &lens.thin_prism));
  return lens;
}

absl::StatusOr<Lens> FisheyeFromProto(const std::string& name,
                                      const sensorsim::OpenCVFisheyeCameraParam& proto) {
  Lens lens;
  lens.model = Lens::Model::kFisheye;
  lens.principal_point = {proto.principal_point_x(), proto.principal_point_y()};
  lens.focal_length = {proto.focal_length_x(), proto.focal_length_y()};
  lens.max_angle_rad = proto.max_angle();
  AUTOMOT_RETURN_IF_ERROR(Copy(name + ".radial_coeffs", proto.radial_coeffs(), &lens.radial, 4));
  return lens;
}

Lens FthetaFromProto(const sensorsim::FthetaCameraParam& proto) {
  Lens lens;
  lens.model = Lens::Model::kFtheta;
  lens.principal_point = {proto.principal_point_x(), proto.principal_point_y()};
  lens.max_angle_rad = proto.max_angle();
  lens.angle_to_radius = {proto.angle_to_pixeldist_poly().begin(),
                          proto.angle_to_pixeldist_poly().end()};
  // The other polynomial is an approximation: read only where there is nothing better.
  const bool by_angle = proto.reference_poly() == sensorsim::FthetaCameraParam::ANGLE_TO_PIXELDIST;
  if (!by_angle || lens.angle_to_radius.empty()) {
    lens.radius_to_angle = {proto.pixeldist_to_angle_poly().begin(),
                            proto.pixeldist_to_angle_poly().end()};
  }
  if (proto.has_linear_cde()) {
    const sensorsim::LinearCde& cde = proto.linear_cde();
    lens.linear = {cde.linear_c(), cde.linear_d(), cde.linear_e()};
  }
  return lens;
}

absl::StatusOr<Lens> LensFromProto(const std::string& name, const sensorsim::CameraSpec& proto) {
  switch (proto.camera_param_case()) {
    case sensorsim::CameraSpec::kOpencvPinholeParam:
      return PinholeFromProto(name, proto.opencv_pinhole_param());
    case sensorsim::CameraSpec::kOpencvFisheyeParam:
      return FisheyeFromProto(name, proto.opencv_fisheye_param());
    case sensorsim::CameraSpec::kFthetaParam:
      return FthetaFromProto(proto.ftheta_param());
    default:
      return absl::InvalidArgumentError(
          absl::StrCat(name,
                       ": intrinsics have no camera_param; expected ftheta_param, "
                       "opencv_pinhole_param or opencv_fisheye_param"));
  }
}

absl::StatusOr<RigCamera> CameraFromProto(
    const sensorsim::AvailableCamerasReturn::AvailableCamera& proto, int revision) {
  RigCamera camera;
  camera.id = proto.logical_id().empty() ? proto.intrinsics().logical_id() : proto.logical_id();
  if (camera.id.size() > kMaxText) {
    return absl::InvalidArgumentError(
        absl::StrCat("logical_id has ", camera.id.size(), " bytes; the limit is ", kMaxText));
  }
  const std::string name = absl::StrCat("camera '", camera.id, "'");
  const sensorsim::CameraSpec& spec = proto.intrinsics();
  if (spec.resolution_w() > kMaxSide || spec.resolution_h() > kMaxSide) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": resolution is ", spec.resolution_w(),
                                                   "x", spec.resolution_h(), "; the limit is ",
                                                   kMaxSide, " either way"));
  }
  camera.width = static_cast<int>(spec.resolution_w());
  camera.height = static_cast<int>(spec.resolution_h());
  AUTOMOT_ASSIGN_OR_RETURN(camera.lens, LensFromProto(name, spec));
  AUTOMOT_ASSIGN_OR_RETURN(const RigPose pose,
                           PoseFromProto(name + ".rig_to_camera", proto.rig_to_camera()));
  camera.camera_in_rig = revision == 1 ? Multiply(pose.rotation, kOpticalInBody) : pose.rotation;
  if (spec.has_bivariate_windshield_model_param()) {
    AUTOMOT_LOG(kWarning, "egodriver_windshield_ignored", {{"camera", camera.id}});
  }
  return camera;
}

absl::StatusOr<int> RevisionFrom(const std::optional<std::string>& text) {
  if (!text) return kContractRevision;
  int revision = 0;
  if (absl::SimpleAtoi(*text, &revision) && (revision == 1 || revision == kContractRevision)) {
    return revision;
  }
  return absl::InvalidArgumentError(absl::StrCat("metadata ", kContractKey, " is '",
                                                 text->substr(0, kMaxText),
                                                 "'; the revisions known are 1 and 2"));
}

}  // namespace

absl::StatusOr<StartRequest> StartRequestFromProto(const wire::DriveSessionRequest& proto,
                                                   const std::optional<std::string>& revision) {
  AUTOMOT_ASSIGN_OR_RETURN(const int speaks, RevisionFrom(revision));
  StartRequest request;
  request.id = proto.session_uuid();
  request.random_seed = proto.random_seed();
  request.scene = proto.debug_info().scene_id().substr(0, kMaxText);
  request.speaks_carla = revision.has_value();
  const auto& cameras = proto.rollout_spec().vehicle().available_cameras();
  if (cameras.size() > kMaxCameras) {
    return absl::InvalidArgumentError(absl::StrCat("rollout_spec.vehicle.available_cameras has ",
                                                   cameras.size(), " entries; the limit is ",
                                                   kMaxCameras));
  }
  for (const auto& proto_camera : cameras) {
    AUTOMOT_ASSIGN_OR_RETURN(RigCamera camera, CameraFromProto(proto_camera, speaks));
    request.cameras.push_back(std::move(camera));
  }
  return request;
}

}  // namespace automot::egodriver
