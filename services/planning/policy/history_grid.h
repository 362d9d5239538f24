// Which camera frames a context is made from, by capture time (semantics 3): the official model
// looks at four frames, 0.25 s apart. Pure; allocates nothing.
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "absl/types/span.h"
#include "common/types/observation.h"

namespace automot::planning {

// Places in time, `spacing_us` apart, the last one at the newest frame.
struct HistoryGrid {
  static constexpr int kMaxFrames = 16;

  int frames = 4;  // 1 to kMaxFrames
  SessionTimeUs spacing_us = 250'000;
  SessionTimeUs tolerance_us = 60'000;
};

// The frame for one place of the grid.
struct HistoryPlace {
  std::size_t index = 0;       // into the capture times
  SessionTimeUs error_us = 0;  // capture time of the frame - time of the place
};

struct HistoryChoice {
  std::array<HistoryPlace, HistoryGrid::kMaxFrames> places{};  // oldest first
  int frames = 0;                                              // valid places
  bool short_history = false;  // an error beyond the tolerance: reason SHORT_HISTORY
};

// capture_times_us: strictly increasing. Per place: the nearest frame within the tolerance, else
// the nearest older one, else the oldest one again. Of two equally near frames the older. Absent
// without any frame, or where `grid.frames` is outside its range.
std::optional<HistoryChoice> ChooseHistory(const HistoryGrid& grid,
                                           absl::Span<const SessionTimeUs> capture_times_us);

}  // namespace automot::planning
