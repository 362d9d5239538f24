// Refreshes that were due and will never come, so that no plan waits for one of them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <limits>

#include "common/types/observation.h"

namespace automot::planning {

// Has is wait-free, for the planning thread; Add and Clear need a lock of the callers' (one writer
// at a time). Remembers the newest few: an older one has long been overtaken by a newer snapshot.
class LostRefreshes {
 public:
  LostRefreshes() { Clear(); }

  bool Has(SessionTimeUs capture_us) const {
    for (const std::atomic<SessionTimeUs>& lost : lost_) {
      if (lost.load(std::memory_order_acquire) == capture_us) return true;
    }
    return false;
  }
  void Add(SessionTimeUs capture_us) {
    lost_[next_++ % kRemembered].store(capture_us, std::memory_order_release);
  }
  void Clear() {
    for (std::atomic<SessionTimeUs>& lost : lost_) lost.store(kNone, std::memory_order_release);
  }

 private:
  static constexpr std::size_t kRemembered = 8;
  static constexpr SessionTimeUs kNone = std::numeric_limits<SessionTimeUs>::min();

  std::array<std::atomic<SessionTimeUs>, kRemembered> lost_;
  std::size_t next_ = 0;  // writers' only
};

}  // namespace automot::planning
