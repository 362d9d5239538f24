// Wall monotonic time behind an interface, so that tests own it. Session time never comes from here
// (semantics 1).
#pragma once

#include <atomic>
#include <chrono>

#include "absl/time/time.h"

namespace automot {

// Thread-safe. Now() is monotonic and has no meaning across processes.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Duration Now() const = 0;
};

class MonotonicClock final : public Clock {
 public:
  absl::Duration Now() const override {
    return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
  }
};

// Stands still until told otherwise.
class ManualClock final : public Clock {
 public:
  absl::Duration Now() const override {
    return absl::Nanoseconds(now_ns_.load(std::memory_order_acquire));
  }
  void Advance(absl::Duration by) {
    now_ns_.fetch_add(absl::ToInt64Nanoseconds(by), std::memory_order_acq_rel);
  }

 private:
  std::atomic<int64_t> now_ns_{0};
};

}  // namespace automot
