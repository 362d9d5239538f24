// A whole sweep from two halves (spec 3.6): the sensor turns at half the tick rate, so a tick
// brings half of the surroundings, and the other half is the previous tick's, moved into the
// current frame.
#pragma once

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "common/lidar/histogram.h"
#include "common/types/geometry.h"
#include "common/types/observation.h"

namespace automot::lidar {

// Half a sweep with the pose it was taken at.
struct HalfSweep {
  std::shared_ptr<const LidarPoints> points;  // ego frame of `pose`
  Pose2 pose;                                 // ego in the local frame
};

// Histogram of one observation. With a `previous` half its points are moved to `current.pose` and
// added. The result is marked `half_sweep` when the current measurement is half and `previous` is
// absent; its capture time is that of the current points.
// INVALID_ARGUMENT: null points, or points that CheckPoints refuses. `builder` is reset first.
absl::StatusOr<LidarHistogram> BuildSweep(const HalfSweep& current, bool current_is_half,
                                          const std::optional<HalfSweep>& previous,
                                          HistogramBuilder& builder);

}  // namespace automot::lidar
