// The poses that a simulator reported of one vehicle: sorted, each time once, bounded.
//
// Not thread-safe.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "common/types/observation.h"
#include "services/egodriver/geometry/rig_geometry.h"

namespace automot::egodriver {

struct Motion {
  double speed_mps = 0.0;       // along the rig's x axis
  double yaw_rate_radps = 0.0;  // positive to the left
};

struct TimedPose {
  SessionTimeUs time_us = 0;
  RigPose pose;
  std::optional<Motion> motion;  // absent: not reported
};

class EgomotionLog {
 public:
  static constexpr std::size_t kMaxPoses = 2048;  // newest kept

  // Any order, repeats of what is known allowed: the first report of a time stays.
  void Add(std::vector<TimedPose> poses);

  bool empty() const { return poses_.empty(); }
  std::size_t size() const { return poses_.size(); }

  // The pose at `time_us`, with its motion: interpolated, before the first the first, beyond the
  // last carried on by its motion for at most one second. A motion that was not reported comes from
  // the poses. Nothing without poses.
  std::optional<TimedPose> At(SessionTimeUs time_us) const;

 private:
  Motion MotionAt(std::size_t index) const;

  std::vector<TimedPose> poses_;  // rising times
};

}  // namespace automot::egodriver
