// Vision features of one session's camera frames, so that a frame that stays in the history is
// encoded once.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <utility>

#include "common/types/observation.h"
#include "services/reasoning/understanding_expert.h"

namespace automot::reasoning {

// Not thread-safe: the reasoning worker owns the use of it. Within an episode a capture time
// identifies a frame; an episode's cache dies with the episode. Bounded: beyond `capacity` the
// feature of the oldest frame goes.
class VisionCache {
 public:
  static constexpr std::size_t kDefaultCapacity = 16;

  explicit VisionCache(std::size_t capacity = kDefaultCapacity) : capacity_(capacity) {}

  // Null where the frame has not been encoded or was evicted.
  std::shared_ptr<const VisionFeature> Find(SessionTimeUs capture_time_us) const;
  void Insert(SessionTimeUs capture_time_us, std::shared_ptr<const VisionFeature> feature);
  std::size_t size() const { return features_.size(); }

 private:
  std::size_t capacity_;
  // Increasing capture times.
  std::deque<std::pair<SessionTimeUs, std::shared_ptr<const VisionFeature>>> features_;
};

}  // namespace automot::reasoning
