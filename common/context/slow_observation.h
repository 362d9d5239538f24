// What the reasoning service needs of one observation (semantics 3).
//
// Immutable once built and shared by pointer: the ring of the forwarder, the link in flight and the
// reasoning loop hold the same object. Any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/types/observation.h"
#include "common/types/trajectory.h"

namespace automot::context {

struct SlowObservation {
  uint64_t session = 0;
  uint32_t episode = 0;
  uint64_t sequence = 0;  // of the observation at its client

  // Oldest first; usually one. Never null pointers.
  std::vector<std::shared_ptr<const CameraFrame>> frames;
  std::shared_ptr<const LidarHistogram> lidar;  // null: the vehicle sent none (NO_LIDAR)
  std::shared_ptr<const BevFeature> bev;        // null unless the client computed it itself
  RouteTarget target;
  EgoState ego;
  ReasonSet reasons;  // of the ingest: NO_LIDAR, HALF_SWEEP, TIME_JUMP

  // True: only completes the history (replayed on attach, or older than the newest); no refresh is
  // due for it. False: a refresh candidate, where the newest wins.
  bool history_only = false;
  // Refresh ahead of schedule: the route changed (semantics 4) or a session waits for its first
  // context.
  bool urgent = false;
};

using SlowObservationPtr = std::shared_ptr<const SlowObservation>;

}  // namespace automot::context
