#include "common/conversion/slow_observation.h"

#include <utility>

#include "common/lidar/histogram.h"
#include "common/status/status_macros.h"

namespace automot::conversion {
namespace {

absl::StatusOr<std::shared_ptr<const LidarHistogram>> HistogramOf(const LidarMeasurement& lidar) {
  if (lidar.histogram != nullptr) return lidar.histogram;
  AUTOMOT_ASSIGN_OR_RETURN(lidar::HistogramBuilder builder, lidar::HistogramBuilder::Create());
  AUTOMOT_RETURN_IF_ERROR(builder.Add(absl::MakeConstSpan(lidar.points->xyz)));
  auto histogram = std::make_shared<LidarHistogram>();
  histogram->capture_time_us = lidar.points->capture_time_us;
  histogram->counts = builder.counts();
  histogram->half_sweep = lidar.half_sweep;
  return std::shared_ptr<const LidarHistogram>(std::move(histogram));
}

}  // namespace

void SlowObservationToProto(const context::SlowObservation& observation,
                            const std::vector<std::shared_ptr<const CameraFrame>>& frames,
                            v1::SlowObservation* proto) {
  v1::Observation* out = proto->mutable_observation();
  out->set_capture_time_us(observation.ego.capture_time_us);
  for (const auto& frame : frames) CameraFrameToProto(*frame, out->add_camera_images());
  if (observation.lidar != nullptr) {
    v1::Lidar* lidar = out->mutable_lidar();
    lidar->set_capture_time_us(observation.lidar->capture_time_us);
    lidar->mutable_histogram()->set_counts(observation.lidar->counts.data(),
                                           observation.lidar->counts.size());
    lidar->set_half_sweep(observation.lidar->half_sweep ||
                          observation.reasons.Has(Reason::kHalfSweep));
  }
  EgoStateToProto(observation.ego, out->mutable_ego_state());
  RouteTargetToProto(observation.target, out->mutable_route_target());
  proto->set_sequence(observation.sequence);
  proto->set_history_only(observation.history_only);
  proto->set_refresh_now(observation.urgent);
}

absl::StatusOr<std::shared_ptr<context::SlowObservation>> SlowObservationFromProto(
    const v1::SlowObservation& proto, const ObservationLimits& limits) {
  AUTOMOT_ASSIGN_OR_RETURN(Observation observation,
                           ObservationFromProto(proto.observation(), limits));
  auto slow = std::make_shared<context::SlowObservation>();
  for (CameraFrame& frame : observation.camera_frames) {
    slow->frames.push_back(std::make_shared<const CameraFrame>(std::move(frame)));
  }
  if (observation.lidar) {
    AUTOMOT_ASSIGN_OR_RETURN(slow->lidar, HistogramOf(*observation.lidar));
    if (observation.lidar->half_sweep) slow->reasons.Add(Reason::kHalfSweep);
  } else {
    slow->reasons.Add(Reason::kNoLidar);
  }
  slow->bev = std::move(observation.bev_feature);
  slow->ego = observation.ego;
  slow->target = observation.target;
  slow->sequence = proto.sequence();
  slow->history_only = proto.history_only();
  slow->urgent = proto.refresh_now();
  return slow;
}

}  // namespace automot::conversion
