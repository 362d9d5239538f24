// What a recording has come to, for the metrics.
#pragma once

#include <cstdint>

namespace automot::planning {

// Since the start.
struct RecordingStats {
  uint64_t written = 0;            // records
  uint64_t dropped = 0;            // records, for a full queue, a spent budget or a failing disk
  uint64_t omitted_snapshots = 0;  // recorded without keys and values, for a full queue
  uint64_t bytes = 0;              // written
};

}  // namespace automot::planning
