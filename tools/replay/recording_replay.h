// Does a recording again and compares what comes out, session by session. Sessions do not touch
// each other, so each is replayed on its own: the memory that this takes is that of one vehicle.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/time/clock.h"
#include "services/planning/action_expert.h"
#include "tools/recording/recording_index.h"
#include "tools/replay/replay_report.h"

namespace automot::tools {

struct ReplayOptions {
  double tolerance = 0.0;  // of floating-point fields; 0: bit for bit
  std::string session;     // only the sessions of this name; empty: all
  uint64_t snapshot_memory_bytes = uint64_t{8} << 30;
};

// `expert` runs what the recording ran, with its settings. Where it is another model that alone is
// the difference: nothing is run. Errors: the recording cannot be read, or the engine not made.
absl::StatusOr<ReplayReport> ReplayRecording(EntryReader& reader, const RecordingIndex& index,
                                             planning::ActionExpert* expert,
                                             const ReplayOptions& options);

}  // namespace automot::tools
