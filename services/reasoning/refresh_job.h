// One refresh: everything that the worker needs, taken from the session in one go.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/time/time.h"
#include "common/context/slow_observation.h"
#include "services/reasoning/attachment.h"
#include "services/reasoning/camera_history.h"
#include "services/reasoning/vision_cache.h"

namespace automot::reasoning {

struct RefreshJob {
  AttachmentPtr owner;
  uint32_t episode = 0;
  context::SlowObservationPtr observation;
  SessionTimeUs frame_time_us = 0;     // newest frame that may be used
  HistorySelection history;            // empty frames: there is no camera frame
  std::shared_ptr<VisionCache> cache;  // of the episode
  absl::Duration accepted;             // monotonic wall time of the observation

  SessionTimeUs capture_time_us() const {
    return history.frames.empty() ? frame_time_us : history.frames.back()->capture_time_us;
  }
};

}  // namespace automot::reasoning
