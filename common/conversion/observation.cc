#include "common/conversion/observation.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/conversion/geometry.h"
#include "common/status/status_macros.h"
#include "common/types/session_time.h"

namespace automot::conversion {
namespace {

static_assert(std::endian::native == std::endian::little, "tensor bytes are little-endian");

constexpr double kMinSpeedMps = -50.0, kMaxSpeedMps = 100.0;
// Limit of geometry.proto: sums and differences stay finite.
constexpr double kMaxCoordinate = 1e8;
constexpr int kBevCells = 64;
constexpr uint8_t kMaxCount = 5;

template <typename... Parts>
absl::Status Invalid(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

absl::Status CheckFinite(const char* field, double value) {
  if (std::isfinite(value)) return absl::OkStatus();
  return Invalid(field, " is ", value, "; it must be finite");
}

absl::Status CheckTime(const char* field, SessionTimeUs time) {
  if (time >= -kMaxSessionTimeUs && time <= kMaxSessionTimeUs) return absl::OkStatus();
  return Invalid(field, " is ", time, "; the limits are ", -kMaxSessionTimeUs, " and ",
                 kMaxSessionTimeUs);
}

absl::Status CheckPoint(const char* field, bool present, const v1::Vec2& point) {
  if (!present) return Invalid(field, " is missing");
  const auto fits = [](double value) { return std::abs(value) <= kMaxCoordinate; };  // not NaN
  if (fits(point.x()) && fits(point.y())) return absl::OkStatus();
  return Invalid(field, " is (", point.x(), ", ", point.y(), "); it must be finite, at most ",
                 kMaxCoordinate, " either way");
}

std::vector<float> Floats(const std::string& bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  if (!values.empty()) {
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  }
  return values;
}

// Looks at all of them, without a branch: so it runs at the speed of memory.
bool AllFinite(const std::vector<float>& values) {
  constexpr uint32_t kExponent = 0x7F80'0000;  // all ones: infinite or not a number
  uint32_t found = 0;
  for (const float value : values) {
    found |= (std::bit_cast<uint32_t>(value) & kExponent) == kExponent ? 1U : 0U;
  }
  return found == 0;
}

std::string Bytes(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

// ----------------------------------------------------------------------------------------------------
// From the wire

// The picture's own error under the name of its field.
absl::Status PictureError(const absl::Status& status) {
  return Invalid("camera_images.data: ", absl::StripPrefix(status.message(), "image: "));
}

absl::StatusOr<RgbImage> RawImage(const v1::CameraImage& proto, const ObservationLimits& limits) {
  const absl::Status fits = image::CheckSize(proto.width(), proto.height(), limits.image);
  if (!fits.ok()) return PictureError(fits);
  const std::size_t expected = std::size_t{proto.width()} * proto.height() * 3;
  if (proto.data().size() != expected) {
    return Invalid("camera_images.data has ", proto.data().size(), " bytes; RAW_RGB of ",
                   proto.width(), " x ", proto.height(), " has ", expected);
  }
  return RgbImage{.width = static_cast<int>(proto.width()),
                  .height = static_cast<int>(proto.height()),
                  .pixels = {proto.data().begin(), proto.data().end()}};
}

absl::StatusOr<RgbImage> EncodedImage(const v1::CameraImage& proto,
                                      const ObservationLimits& limits) {
  absl::StatusOr<RgbImage> decoded = image::DecodeImage(proto.data(), limits.image);
  if (!decoded.ok()) return PictureError(decoded.status());
  RgbImage& image = *decoded;
  const auto differs = [](uint32_t said, int is) {
    return said != 0 && said != static_cast<uint32_t>(is);
  };
  if (differs(proto.width(), image.width) || differs(proto.height(), image.height)) {
    return Invalid("camera_images is ", image.width, " x ", image.height,
                   " pixels; width and height say ", proto.width(), " x ", proto.height());
  }
  return decoded;
}

absl::Status FramesFromProto(const v1::Observation& proto, const ObservationLimits& limits,
                             std::vector<CameraFrame>* frames) {
  const auto count = static_cast<std::size_t>(proto.camera_images_size());
  if (count > limits.camera_images) {
    return Invalid("camera_images has ", count, " entries; the limit is ", limits.camera_images);
  }
  for (const v1::CameraImage& image : proto.camera_images()) {
    AUTOMOT_ASSIGN_OR_RETURN(CameraFrame frame, CameraFrameFromProto(image, limits));
    if (!frames->empty() && frame.capture_time_us <= frames->back().capture_time_us) {
      return Invalid("camera_images.capture_time_us is ", frame.capture_time_us, " after ",
                     frames->back().capture_time_us, "; frames come oldest first");
    }
    frames->push_back(std::move(frame));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const LidarPoints>> PointsFromProto(
    const v1::LidarPoints& proto, SessionTimeUs time, const ObservationLimits& limits) {
  constexpr std::size_t kPointBytes = 3 * sizeof(float);
  if (proto.xyz().size() % kPointBytes != 0 ||
      proto.xyz().size() / kPointBytes > limits.lidar_points) {
    return Invalid("lidar.points.xyz has ", proto.xyz().size(), " bytes; it must be at most ",
                   limits.lidar_points, " points of ", kPointBytes, " bytes");
  }
  auto points = std::make_shared<LidarPoints>();
  points->capture_time_us = time;
  points->xyz = Floats(proto.xyz());
  if (!AllFinite(points->xyz)) {
    return Invalid("lidar.points.xyz holds a coordinate that is not finite");
  }
  return std::shared_ptr<const LidarPoints>(std::move(points));
}

absl::StatusOr<std::shared_ptr<const LidarHistogram>> HistogramFromProto(
    const v1::LidarHistogram& proto, SessionTimeUs time, bool half_sweep) {
  constexpr std::size_t kCells = std::size_t{kLidarBins} * kLidarBins;
  if (proto.counts().size() != kCells) {
    return Invalid("lidar.histogram.counts has ", proto.counts().size(), " bytes; it must have ",
                   kCells);
  }
  auto histogram = std::make_shared<LidarHistogram>();
  histogram->capture_time_us = time;
  histogram->half_sweep = half_sweep;
  histogram->counts.resize(kCells);
  std::transform(proto.counts().begin(), proto.counts().end(), histogram->counts.begin(),
                 [](char count) { return std::min(static_cast<uint8_t>(count), kMaxCount); });
  return std::shared_ptr<const LidarHistogram>(std::move(histogram));
}

absl::StatusOr<LidarMeasurement> LidarFromProto(const v1::Lidar& proto, SessionTimeUs observed,
                                                const ObservationLimits& limits) {
  const SessionTimeUs time = proto.has_capture_time_us() ? proto.capture_time_us() : observed;
  AUTOMOT_RETURN_IF_ERROR(CheckTime("lidar.capture_time_us", time));
  LidarMeasurement lidar;
  lidar.half_sweep = proto.half_sweep();
  if (proto.has_histogram()) {
    AUTOMOT_ASSIGN_OR_RETURN(lidar.histogram,
                             HistogramFromProto(proto.histogram(), time, proto.half_sweep()));
  } else {
    // Without a measurement the LiDAR saw nothing: no points.
    AUTOMOT_ASSIGN_OR_RETURN(lidar.points, PointsFromProto(proto.points(), time, limits));
  }
  return lidar;
}

absl::StatusOr<std::shared_ptr<const BevFeature>> BevFromProto(const v1::BevFeature& proto,
                                                               const ObservationLimits& limits) {
  if (proto.channels() == 0 || proto.channels() > static_cast<uint32_t>(limits.bev_channels)) {
    return Invalid("bev_feature.channels is ", proto.channels(), "; it must be 1 to ",
                   limits.bev_channels);
  }
  const std::size_t expected = std::size_t{proto.channels()} * kBevCells * sizeof(float);
  if (proto.values().size() != expected) {
    return Invalid("bev_feature.values has ", proto.values().size(), " bytes; ", proto.channels(),
                   " channels have ", expected);
  }
  auto bev = std::make_shared<BevFeature>();
  bev->channels = static_cast<int>(proto.channels());
  bev->values = Floats(proto.values());
  if (!AllFinite(bev->values)) {
    return Invalid("bev_feature.values holds a value that is not finite");
  }
  return std::shared_ptr<const BevFeature>(std::move(bev));
}

absl::Status MotionFromProto(const v1::EgoState& proto, EgoState* ego) {
  if (!proto.has_speed_mps()) return Invalid("ego_state.speed_mps is missing");
  if (!(proto.speed_mps() >= kMinSpeedMps && proto.speed_mps() <= kMaxSpeedMps)) {
    return Invalid("ego_state.speed_mps is ", proto.speed_mps(), "; it must be ", kMinSpeedMps,
                   " to ", kMaxSpeedMps);
  }
  ego->speed_mps = proto.speed_mps();
  if (proto.has_velocity_mps()) {
    AUTOMOT_RETURN_IF_ERROR(CheckPoint("ego_state.velocity_mps", true, proto.velocity_mps()));
    ego->velocity_mps = FromProto(proto.velocity_mps());
  }
  if (proto.has_yaw_rate_radps()) {
    AUTOMOT_RETURN_IF_ERROR(CheckFinite("ego_state.yaw_rate_radps", proto.yaw_rate_radps()));
    ego->yaw_rate_radps = proto.yaw_rate_radps();
  }
  return absl::OkStatus();
}

absl::StatusOr<EgoState> EgoFromProto(const v1::EgoState& proto, SessionTimeUs observed) {
  EgoState ego;
  ego.capture_time_us = proto.has_capture_time_us() ? proto.capture_time_us() : observed;
  AUTOMOT_RETURN_IF_ERROR(CheckTime("ego_state.capture_time_us", ego.capture_time_us));
  AUTOMOT_RETURN_IF_ERROR(MotionFromProto(proto, &ego));
  if (proto.has_pose()) {
    AUTOMOT_RETURN_IF_ERROR(CheckPoint("ego_state.pose.position", proto.pose().has_position(),
                                       proto.pose().position()));
    AUTOMOT_RETURN_IF_ERROR(CheckFinite("ego_state.pose.yaw_rad", proto.pose().yaw_rad()));
    ego.pose = FromProto(proto.pose());
  }
  return ego;
}

absl::StatusOr<RouteTarget> TargetFromProto(const v1::RouteTarget& proto) {
  AUTOMOT_RETURN_IF_ERROR(CheckPoint("route_target.current_target_point",
                                     proto.has_current_target_point(),
                                     proto.current_target_point()));
  AUTOMOT_RETURN_IF_ERROR(CheckPoint("route_target.next_target_point",
                                     proto.has_next_target_point(), proto.next_target_point()));
  return RouteTarget{.current = FromProto(proto.current_target_point()),
                     .next = FromProto(proto.next_target_point()),
                     .route_revision = proto.route_revision()};
}

// ------------------------------------------------------------------------------------------------------
// To the wire

void LidarToProto(const LidarMeasurement& lidar, v1::Lidar* proto) {
  proto->set_half_sweep(lidar.half_sweep);
  if (lidar.histogram != nullptr) {
    proto->set_capture_time_us(lidar.histogram->capture_time_us);
    proto->mutable_histogram()->set_counts(lidar.histogram->counts.data(),
                                           lidar.histogram->counts.size());
  } else if (lidar.points != nullptr) {
    proto->set_capture_time_us(lidar.points->capture_time_us);
    proto->mutable_points()->set_xyz(Bytes(lidar.points->xyz));
  }
}

}  // namespace

absl::StatusOr<CameraFrame> CameraFrameFromProto(const v1::CameraImage& proto,
                                                 const ObservationLimits& limits) {
  if (!proto.has_capture_time_us()) return Invalid("camera_images.capture_time_us is missing");
  AUTOMOT_RETURN_IF_ERROR(CheckTime("camera_images.capture_time_us", proto.capture_time_us()));
  if (!v1::ImageEncoding_IsValid(proto.encoding())) {
    return Invalid("camera_images.encoding is ", proto.encoding(), ", which is unknown");
  }
  const bool raw = proto.encoding() == v1::IMAGE_ENCODING_RAW_RGB;
  AUTOMOT_ASSIGN_OR_RETURN(RgbImage image,
                           raw ? RawImage(proto, limits) : EncodedImage(proto, limits));
  CameraFrame frame;
  frame.capture_time_us = proto.capture_time_us();
  frame.image = std::make_shared<const RgbImage>(std::move(image));
  frame.was_jpeg = !raw && image::SniffFormat(proto.data()) == image::ImageFormat::kJpeg;
  return frame;
}

absl::StatusOr<Observation> ObservationFromProto(const v1::Observation& proto,
                                                 const ObservationLimits& limits) {
  if (!proto.has_capture_time_us()) return Invalid("observation.capture_time_us is missing");
  if (!proto.has_ego_state()) return Invalid("observation.ego_state is missing");
  if (!proto.has_route_target()) return Invalid("observation.route_target is missing");
  AUTOMOT_RETURN_IF_ERROR(CheckTime("observation.capture_time_us", proto.capture_time_us()));
  Observation observation;
  observation.capture_time_us = proto.capture_time_us();
  AUTOMOT_ASSIGN_OR_RETURN(observation.ego,
                           EgoFromProto(proto.ego_state(), observation.capture_time_us));
  AUTOMOT_ASSIGN_OR_RETURN(observation.target, TargetFromProto(proto.route_target()));
  if (proto.has_lidar()) {
    AUTOMOT_ASSIGN_OR_RETURN(observation.lidar,
                             LidarFromProto(proto.lidar(), observation.capture_time_us, limits));
  }
  if (proto.has_bev_feature()) {
    AUTOMOT_ASSIGN_OR_RETURN(observation.bev_feature, BevFromProto(proto.bev_feature(), limits));
  }
  AUTOMOT_RETURN_IF_ERROR(FramesFromProto(proto, limits, &observation.camera_frames));
  return observation;
}

void CameraFrameToProto(const CameraFrame& frame, v1::CameraImage* proto) {
  proto->set_capture_time_us(frame.capture_time_us);
  proto->set_encoding(v1::IMAGE_ENCODING_RAW_RGB);
  proto->set_data(frame.image->pixels.data(), frame.image->pixels.size());
  proto->set_width(static_cast<uint32_t>(frame.image->width));
  proto->set_height(static_cast<uint32_t>(frame.image->height));
}

void EgoStateToProto(const EgoState& ego, v1::EgoState* proto) {
  proto->set_capture_time_us(ego.capture_time_us);
  if (ego.pose) ToProto(*ego.pose, proto->mutable_pose());
  proto->set_speed_mps(ego.speed_mps);
  if (ego.velocity_mps) ToProto(*ego.velocity_mps, proto->mutable_velocity_mps());
  if (ego.yaw_rate_radps) proto->set_yaw_rate_radps(*ego.yaw_rate_radps);
}

void RouteTargetToProto(const RouteTarget& target, v1::RouteTarget* proto) {
  ToProto(target.current, proto->mutable_current_target_point());
  ToProto(target.next, proto->mutable_next_target_point());
  proto->set_route_revision(target.route_revision);
}

void ObservationToProto(const Observation& observation, v1::Observation* proto) {
  proto->set_capture_time_us(observation.capture_time_us);
  for (const CameraFrame& frame : observation.camera_frames) {
    CameraFrameToProto(frame, proto->add_camera_images());
  }
  if (observation.lidar) LidarToProto(*observation.lidar, proto->mutable_lidar());
  if (observation.bev_feature != nullptr) {
    proto->mutable_bev_feature()->set_values(Bytes(observation.bev_feature->values));
    proto->mutable_bev_feature()->set_channels(
        static_cast<uint32_t>(observation.bev_feature->channels));
  }
  EgoStateToProto(observation.ego, proto->mutable_ego_state());
  RouteTargetToProto(observation.target, proto->mutable_route_target());
}

}  // namespace automot::conversion
