// Takes a session's observations in: clock rules, newest camera frame, LiDAR sweep, refresh
// schedule. Apart from admission: what is accepted here stays accepted when its plan is refused
// (semantics 3).
//
// Not thread-safe: Session::mutex guards it. Never called on the planning thread. Decoding,
// rasterising and the JPEG round trip happen here, so that the tick finds ready inputs.
#pragma once

#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/context/slow_observation.h"
#include "common/lidar/sweep.h"
#include "common/types/observation.h"
#include "common/types/trajectory.h"
#include "services/planning/action_expert.h"
#include "services/planning/policy/time_rules.h"
#include "services/planning/refresh_schedule.h"
#include "services/planning/session_options.h"

namespace automot::planning {

// What one observation means for the plan and for the slow path.
struct IngestedObservation {
  CameraFrame
      camera;  // newest frame of the session as the BEV encoder wants it; image null without one
  std::shared_ptr<const LidarHistogram> lidar;
  std::optional<SessionTimeUs> camera_age_us;
  std::optional<SessionTimeUs> lidar_age_us;
  ReasonSet reasons;
  context::SlowObservationPtr slow;  // to forward; null where the observation has no camera frame
  std::optional<SessionTimeUs>
      required_capture_us;  // STEPPED, LOCKSTEP: the plan waits for a context this new
};

class ObservationIngest {
 public:
  ObservationIngest(const SessionOptions& options, lidar::HistogramBuilder histogram);

  // INVALID_ARGUMENT naming field, value and limit; nothing is changed then. `session` and
  // `episode` name the slow observation.
  absl::StatusOr<IngestedObservation> Take(const Observation& observation,
                                           const ActionExpertInfo& model, uint64_t session,
                                           uint32_t episode, uint64_t sequence);

  // The refresh of `slow` will not be made: its own plan and later ones do not wait for it.
  void Retract(const context::SlowObservation& slow, IngestedObservation* ingested);
  // True where a refresh of the frame captured at `frame_us` was due in this episode.
  bool Asked(SessionTimeUs frame_us) const { return schedule_.Asked(frame_us); }

  // A new episode: forgets time, camera, sweep and schedule.
  void Reset();

  std::optional<SessionTimeUs> newest_time_us() const { return newest_time_us_; }

 private:
  // What Take works out before it changes anything.
  struct Draft {
    CameraFrame bev_camera;
    std::shared_ptr<const LidarHistogram> lidar;
    std::optional<lidar::HalfSweep> half;  // to merge with the next half
    ReasonSet reasons;
  };

  absl::Status CheckModalities(const Observation& observation, const ActionExpertInfo& model,
                               Draft* draft) const;
  absl::Status PrepareCamera(const Observation& observation, const ActionExpertInfo& model,
                             Draft* draft) const;
  absl::Status PrepareLidar(const Observation& observation, Draft* draft);
  absl::Status PreparePoints(const Observation& observation, Draft* draft);
  void ReportAges(const Observation& observation, const Draft& draft,
                  IngestedObservation* ingested) const;
  context::SlowObservationPtr ForSlowPath(const Observation& observation, const Draft& draft,
                                          const context::SlowObservation& identity,
                                          IngestedObservation* ingested);

  const SessionOptions options_;
  std::optional<SessionTimeUs> newest_time_us_;
  CameraFrame bev_camera_;  // newest frame, JPEG round trip done
  std::optional<lidar::HalfSweep> previous_half_;
  lidar::HistogramBuilder histogram_;
  RefreshSchedule schedule_;
  std::optional<uint64_t> route_revision_;
  bool rerouted_ = false;  // since the last observation with a camera frame
};

}  // namespace automot::planning
