#include "services/planning/observation_ingest.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/image/encode.h"
#include "common/status/status_macros.h"

namespace automot::planning {
namespace {

absl::Status MissingModality(const char* field, const SessionOptions& options) {
  if (options.on_missing_modality == OnMissingModality::kFlag) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "observation.", field, " is missing and the session's on_missing_modality is REJECT"));
}

}  // namespace

ObservationIngest::ObservationIngest(const SessionOptions& options,
                                     lidar::HistogramBuilder histogram)
    : options_(options), histogram_(std::move(histogram)), schedule_(options) {}

void ObservationIngest::Reset() {
  newest_time_us_.reset();
  bev_camera_ = {};
  previous_half_.reset();
  route_revision_.reset();
  rerouted_ = false;
  schedule_.Reset();
}

absl::Status ObservationIngest::CheckModalities(const Observation& observation,
                                                const ActionExpertInfo& model, Draft* draft) const {
  if (observation.bev_feature != nullptr) {
    if (observation.bev_feature->channels != model.bev_channels) {
      return absl::InvalidArgumentError(absl::StrCat("observation.bev_feature.channels is ",
                                                     observation.bev_feature->channels,
                                                     "; the checkpoint's is ", model.bev_channels));
    }
  } else if (observation.camera_frames.empty() && bev_camera_.image == nullptr) {
    AUTOMOT_RETURN_IF_ERROR(MissingModality("camera_images", options_));
  }
  if (!observation.lidar && observation.bev_feature == nullptr) {
    AUTOMOT_RETURN_IF_ERROR(MissingModality("lidar", options_));
    draft->reasons.Add(Reason::kNoLidar);
  }
  return absl::OkStatus();
}

absl::Status ObservationIngest::PrepareCamera(const Observation& observation,
                                              const ActionExpertInfo& model, Draft* draft) const {
  draft->bev_camera = bev_camera_;
  if (observation.camera_frames.empty()) return absl::OkStatus();
  for (size_t i = 0; i < observation.camera_frames.size(); ++i) {
    const RgbImage& image = *observation.camera_frames[i].image;
    if (image.width == model.camera_width && image.height == model.camera_height) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "observation.camera_images[", i, "] is ", image.width, "x", image.height,
        "; the checkpoint's camera is ", model.camera_width, "x", model.camera_height));
  }
  const CameraFrame& newest = observation.camera_frames.back();
  // A late frame completes the history only.
  if (bev_camera_.image != nullptr && newest.capture_time_us < bev_camera_.capture_time_us) {
    return absl::OkStatus();
  }
  draft->bev_camera = newest;
  if (!newest.was_jpeg && model.learnt_from_jpeg) {
    AUTOMOT_ASSIGN_OR_RETURN(RgbImage lossy, image::JpegRoundTrip(*newest.image));
    draft->bev_camera.image = std::make_shared<const RgbImage>(std::move(lossy));
  }
  return absl::OkStatus();
}

absl::Status ObservationIngest::PrepareLidar(const Observation& observation, Draft* draft) {
  if (!observation.lidar) return absl::OkStatus();
  const LidarMeasurement& measurement = *observation.lidar;
  if (measurement.points != nullptr) return PreparePoints(observation, draft);
  if (measurement.histogram != nullptr) {
    draft->lidar = measurement.histogram;
    if (measurement.half_sweep || draft->lidar->half_sweep) draft->reasons.Add(Reason::kHalfSweep);
    return absl::OkStatus();
  }
  auto empty = std::make_shared<LidarHistogram>();  // the LiDAR saw nothing
  empty->capture_time_us = observation.capture_time_us;
  empty->counts.assign(static_cast<size_t>(kLidarBins) * kLidarBins, 0);
  draft->lidar = std::move(empty);
  return absl::OkStatus();
}

absl::Status ObservationIngest::PreparePoints(const Observation& observation, Draft* draft) {
  const LidarMeasurement& measurement = *observation.lidar;
  // Without a pose two halves cannot be aligned: each is then a half of its own. Across a jump in
  // time the other half shows another place.
  const bool mergeable = measurement.half_sweep && observation.ego.pose.has_value();
  const bool continues = mergeable && !draft->reasons.Has(Reason::kTimeJump);
  const lidar::HalfSweep current{measurement.points, observation.ego.pose.value_or(Pose2{})};
  AUTOMOT_ASSIGN_OR_RETURN(
      LidarHistogram histogram,
      lidar::BuildSweep(current, measurement.half_sweep, continues ? previous_half_ : std::nullopt,
                        histogram_));
  if (histogram.half_sweep) draft->reasons.Add(Reason::kHalfSweep);
  if (mergeable) draft->half = current;
  draft->lidar = std::make_shared<const LidarHistogram>(std::move(histogram));
  return absl::OkStatus();
}

void ObservationIngest::ReportAges(const Observation& observation, const Draft& draft,
                                   IngestedObservation* ingested) const {
  const SessionTimeUs now = observation.capture_time_us;
  if (draft.bev_camera.image != nullptr)
    ingested->camera_age_us = now - draft.bev_camera.capture_time_us;
  if (draft.lidar != nullptr) ingested->lidar_age_us = now - draft.lidar->capture_time_us;
  for (const auto& age : {ingested->camera_age_us, ingested->lidar_age_us}) {
    if (age && IsSkewed(now, now - *age)) ingested->reasons.Add(Reason::kModalitySkew);
  }
}

context::SlowObservationPtr ObservationIngest::ForSlowPath(const Observation& observation,
                                                           const Draft& draft,
                                                           const context::SlowObservation& identity,
                                                           IngestedObservation* ingested) {
  rerouted_ |= route_revision_ && *route_revision_ != observation.target.route_revision;
  route_revision_ = observation.target.route_revision;
  if (observation.camera_frames.empty()) {  // a refresh needs a frame
    ingested->required_capture_us = schedule_.Required(observation.capture_time_us);
    return nullptr;
  }
  auto slow = std::make_shared<context::SlowObservation>(identity);
  for (const CameraFrame& frame : observation.camera_frames) {
    slow->frames.push_back(std::make_shared<const CameraFrame>(frame));
  }
  slow->lidar = draft.lidar;
  slow->bev = observation.bev_feature;
  slow->target = observation.target;
  slow->ego = observation.ego;
  slow->reasons = draft.reasons;
  const bool rerouted = std::exchange(rerouted_, false);
  const bool due = schedule_.Offer(observation.capture_time_us,
                                   observation.camera_frames.back().capture_time_us, rerouted);
  slow->urgent = due && (rerouted || options_.time_mode != TimeMode::kRealtime);
  slow->history_only = !due;
  ingested->required_capture_us = schedule_.Required(observation.capture_time_us);
  return slow;
}

void ObservationIngest::Retract(const context::SlowObservation& slow,
                                IngestedObservation* ingested) {
  schedule_.Retract(slow.frames.back()->capture_time_us);
  ingested->required_capture_us = schedule_.Required(*newest_time_us_);
}

absl::StatusOr<IngestedObservation> ObservationIngest::Take(const Observation& observation,
                                                            const ActionExpertInfo& model,
                                                            uint64_t session, uint32_t episode,
                                                            uint64_t sequence) {
  Draft draft;
  AUTOMOT_ASSIGN_OR_RETURN(draft.reasons,
                           CheckSessionTime(newest_time_us_, observation.capture_time_us));
  AUTOMOT_RETURN_IF_ERROR(CheckModalities(observation, model, &draft));
  AUTOMOT_RETURN_IF_ERROR(PrepareCamera(observation, model, &draft));
  AUTOMOT_RETURN_IF_ERROR(PrepareLidar(observation, &draft));

  newest_time_us_ = observation.capture_time_us;
  bev_camera_ = draft.bev_camera;
  previous_half_ = draft.half;
  IngestedObservation ingested;
  ingested.camera = draft.bev_camera;
  ingested.lidar = draft.lidar;
  ingested.reasons = draft.reasons;
  ReportAges(observation, draft, &ingested);
  context::SlowObservation identity;
  identity.session = session;
  identity.episode = episode;
  identity.sequence = sequence;
  ingested.slow = ForSlowPath(observation, draft, identity, &ingested);
  return ingested;
}

}  // namespace automot::planning
