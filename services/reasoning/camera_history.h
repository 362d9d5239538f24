// The camera frames of one session, by capture time, and the choice of those that a context is made
// from (semantics 3).
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "common/types/observation.h"

namespace automot::reasoning {

using CameraFramePtr = std::shared_ptr<const CameraFrame>;

// Where the frames of a context should lie: `frames` places, `spacing_us` apart, the last one at
// the newest frame.
struct HistoryGrid {
  int frames = 4;
  SessionTimeUs spacing_us = 250'000;
  SessionTimeUs tolerance_us = 60'000;
};

struct HistorySelection {
  std::vector<CameraFramePtr> frames;  // one per place of the grid, oldest first; frames may repeat
  SessionTimeUs error_us = 0;          // largest distance of a frame from its place
  bool short_history = false;          // error_us exceeds the grid's tolerance
};

// Not thread-safe. Bounded: beyond `capacity` the oldest frame goes.
class CameraHistory {
 public:
  static constexpr std::size_t kDefaultCapacity = 32;

  explicit CameraHistory(std::size_t capacity = kDefaultCapacity) : capacity_(capacity) {}

  // False where a frame of that capture time is there already (the first one stays), or where a
  // full ring holds only newer ones.
  bool Add(CameraFramePtr frame);
  void Clear() { frames_.clear(); }

  bool empty() const { return frames_.empty(); }
  std::size_t size() const { return frames_.size(); }
  // Capture time of the newest frame not after `time_us`.
  std::optional<SessionTimeUs> NewestUntil(SessionTimeUs time_us) const;

  // Per place of the grid that ends at the newest frame not after `time_us`: the nearest frame
  // within the tolerance, else the nearest older one, else the oldest there is. Empty without a
  // frame not after `time_us`.
  std::optional<HistorySelection> Select(const HistoryGrid& grid, SessionTimeUs time_us) const;

 private:
  const CameraFramePtr& FrameFor(SessionTimeUs place_us, SessionTimeUs anchor_us,
                                 SessionTimeUs tolerance_us) const;

  std::size_t capacity_;
  std::deque<CameraFramePtr> frames_;  // strictly increasing capture times
};

}  // namespace automot::reasoning
