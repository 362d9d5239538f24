// automot.v1.Observation <-> Observation. The only place where pictures from the wire are decoded
// and every field is checked.
#pragma once

#include <cstddef>
#include <memory>

#include "absl/status/statusor.h"
#include "automot/v1/observation.pb.h"
#include "common/image/decode.h"
#include "common/types/observation.h"

namespace automot::conversion {

// Limits of observation.proto.
struct ObservationLimits {
  std::size_t camera_images = 8;
  std::size_t lidar_points = std::size_t{1} << 20;
  int bev_channels = 4096;
  image::DecodeLimits image = {
      .max_bytes = std::size_t{64} << 20, .max_side = 4096, .max_pixels = int64_t{4096} * 4096};
};

// INVALID_ARGUMENT naming field, value and limit. Costs the decoding of the pictures: not for a
// planning thread.
absl::StatusOr<Observation> ObservationFromProto(const v1::Observation& proto,
                                                 const ObservationLimits& limits = {});

// Pictures go out as raw RGB.
void ObservationToProto(const Observation& observation, v1::Observation* proto);

// Parts of an observation, for messages that hold some of them.
absl::StatusOr<CameraFrame> CameraFrameFromProto(const v1::CameraImage& proto,
                                                 const ObservationLimits& limits);
void CameraFrameToProto(const CameraFrame& frame, v1::CameraImage* proto);
void EgoStateToProto(const EgoState& ego, v1::EgoState* proto);
void RouteTargetToProto(const RouteTarget& target, v1::RouteTarget* proto);

}  // namespace automot::conversion
