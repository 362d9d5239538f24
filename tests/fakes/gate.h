// Lets a test hold a thread at a place and release it: latency without sleeping.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "absl/time/time.h"

namespace automot::fakes {

// Thread-safe. Open at first. (Standard mutexes: the system's Abseil is not instrumented for
// sanitizers.)
class Gate {
 public:
  void Close() {
    Change([this] { open_ = false; });
  }
  void Open() {
    Change([this] { open_ = true; });
  }
  // Closed: lets exactly `count` more passages through.
  void Admit(int count = 1) {
    Change([this, count] { admitted_ += count; });
  }

  // Returns once open (or admitted). A test that never opens the gate fails by ctest's own limit.
  void Pass() {
    std::unique_lock lock(mutex_);
    ++arrived_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_ || admitted_ > 0; });
    if (!open_) --admitted_;
  }

  // True once `count` threads have come to the gate since it was made; false after `timeout`.
  bool WaitForArrivals(int count, absl::Duration timeout = absl::Seconds(30)) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, absl::ToChronoMilliseconds(timeout),
                             [this, count] { return arrived_ >= count; });
  }
  int arrivals() const {
    std::lock_guard lock(mutex_);
    return arrived_;
  }

 private:
  template <typename Edit>
  void Change(Edit edit) {
    {
      std::lock_guard lock(mutex_);
      edit();
    }
    changed_.notify_all();
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  int admitted_ = 0;
  int arrived_ = 0;
};

}  // namespace automot::fakes
