#include "common/lidar/sweep.h"

#include "common/status/status_macros.h"

namespace automot::lidar {

absl::StatusOr<LidarHistogram> BuildSweep(const HalfSweep& current, bool current_is_half,
                                          const std::optional<HalfSweep>& previous,
                                          HistogramBuilder& builder) {
  if (current.points == nullptr || (previous.has_value() && previous->points == nullptr)) {
    return absl::InvalidArgumentError("lidar sweep: a half without points");
  }
  builder.Reset();
  if (previous.has_value()) {
    AUTOMOT_RETURN_IF_ERROR(
        builder.Add(previous->points->xyz, TransformLastToNow(previous->pose, current.pose)));
  }
  AUTOMOT_RETURN_IF_ERROR(builder.Add(current.points->xyz));
  return LidarHistogram{current.points->capture_time_us, builder.counts(),
                        current_is_half && !previous.has_value()};
}

}  // namespace automot::lidar
