// A context snapshot: an immutable, versioned copy of the understanding expert's keys and values
// with the position offset, the prompt they were computed from, the decision, and provenance.
//
// Built by one thread, then shared as std::shared_ptr<const ContextSnapshot>; const access from any
// thread. No proto and no tensor library: lanes convert at their edge.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/context/context_layout.h"
#include "common/context/kv_buffer.h"
#include "common/types/geometry.h"
#include "common/types/observation.h"
#include "common/types/snapshot_id.h"
#include "common/types/trajectory.h"

namespace automot::context {

// What the context was told about the vehicle at its own capture time (semantics 4: frozen prompt).
struct SnapshotPrompt {
  std::array<Vec2, 2>
      target_points{};  // current, next; ego frame of the snapshot's capture, metres
  double speed_mps = 0.0;
  std::optional<Pose2> pose;  // ego in the client's local frame; absent if the client has none
  uint64_t route_revision = 0;
};

struct SnapshotHeader {
  SnapshotId id;
  SessionTimeUs capture_time_us = 0;                  // its newest camera frame's
  std::vector<SessionTimeUs> frame_capture_times_us;  // of each frame used, oldest first
  SessionTimeUs history_spacing_error_us = 0;         // largest deviation from the official spacing
  SnapshotPrompt prompt;
  int64_t position_start = 0;  // largest prefix position + 1 (spec 3.4)
  ContextLayout layout;
  std::string model_revision;      // digest of the checkpoint's manifest
  std::string prompt_template;     // name of the template that built the prompt
  std::string instruction_mask;    // "causal" or "bidirectional"
  double history_spacing_s = 0.0;  // official spacing that the history grid aimed at
  ReasonSet reasons;               // of the context itself: SHORT_HISTORY, NO_LIDAR, HALF_SWEEP
};

// Wall-clock durations of the refresh, for metrics only.
struct SnapshotTimings {
  double queue_ms = 0.0;    // accepted observation to refresh start
  double encode_ms = 0.0;   // preprocessing and vision tower
  double prefill_ms = 0.0;  // text decoder over the prefix
  double decision_ms = 0.0;
  double total_ms = 0.0;  // refresh start to the layers' hand-over
  // Of the lane; zero in one process.
  double transfer_ms = 0.0;  // layers were being handed to the transport
  double exposed_ms = 0.0;   // last layer computed to last layer here: the consumer's measurement
  // Header's hand-over to the last layer computed, on the producer's clock; negative where the
  // header waited.
  std::optional<double> layers_ms;
};

struct ContextSnapshot {
  SnapshotHeader header;
  KvBuffer kv;
  std::optional<Decision> decision;  // absent when the producer publishes none, never a default
  SnapshotTimings timings;
};

using SnapshotPtr = std::shared_ptr<const ContextSnapshot>;

}  // namespace automot::context
