// Counts the streams that still use the engine, so that the engine is not torn down under one of
// them.
#pragma once

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace automot::reasoning {

// Thread-safe.
class LiveStreams {
 public:
  void Begin() {
    absl::MutexLock lock(&mutex_);
    ++count_;
  }
  // The stream's last touch of anything shared.
  void End() {
    absl::MutexLock lock(&mutex_);
    --count_;
  }
  // Returns when there is none, or after `timeout`.
  void WaitForNone(absl::Duration timeout) {
    const auto none = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return count_ == 0; };
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(&none), timeout);
  }
  int count() const {
    absl::MutexLock lock(&mutex_);
    return count_;
  }

 private:
  mutable absl::Mutex mutex_;
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace automot::reasoning
