// Lets a test hold a thread at a place and release it: latency without sleeping.
#pragma once

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace automot::fakes {

// Thread-safe. Open at first.
class Gate {
 public:
  void Close() {
    absl::MutexLock lock(&mutex_);
    open_ = false;
  }
  void Open() {
    absl::MutexLock lock(&mutex_);
    open_ = true;
  }
  // Closed: lets exactly `count` more passages through.
  void Admit(int count = 1) {
    absl::MutexLock lock(&mutex_);
    admitted_ += count;
  }

  // Returns once open (or admitted). A test that never opens the gate fails by ctest's own limit.
  void Pass() {
    absl::MutexLock lock(&mutex_);
    ++arrived_;
    const auto may_pass = [this]()
                              ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return open_ || admitted_ > 0; };
    mutex_.Await(absl::Condition(&may_pass));
    if (!open_) --admitted_;
  }

  // True once `count` threads have come to the gate since it was made; false after `timeout`.
  bool WaitForArrivals(int count, absl::Duration timeout = absl::Seconds(30)) {
    const auto arrived = [this, count]()
                             ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return arrived_ >= count; };
    absl::MutexLock lock(&mutex_);
    return mutex_.AwaitWithTimeout(absl::Condition(&arrived), timeout);
  }
  int arrivals() const {
    absl::MutexLock lock(&mutex_);
    return arrived_;
  }

 private:
  mutable absl::Mutex mutex_;
  bool open_ ABSL_GUARDED_BY(mutex_) = true;
  int admitted_ ABSL_GUARDED_BY(mutex_) = 0;
  int arrived_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace automot::fakes
