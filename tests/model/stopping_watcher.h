// Stops the thread that it watches before the operation of a given number, until it is told to go
// on. A thread that is never told stands for one that the kernel never runs again.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "tests/model/operation.h"

namespace automot::model {

class StoppingWatcher final : public Watcher {
 public:
  static constexpr int kNever = -1;
  explicit StoppingWatcher(int stop_before) : stop_before_(stop_before) {}

  // ---- The watched thread. ----
  void Before(const Operation& operation) override {
    std::unique_lock lock(mutex_);
    if (static_cast<int>(seen_.size()) == stop_before_) {
      stopped_ = true;
      changed_.notify_all();
      changed_.wait(lock, [this] { return !stopped_; });
    }
    seen_.push_back(operation);
  }
  void After(const Operation&, const Effect&) override {}
  // It made all its operations: whoever waits for a stop waits no longer.
  void Ended() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }

  // ---- Another thread. ----
  // True once the watched thread stands; false where it has ended instead.
  bool WaitUntilStopped() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stopped_ || ended_; });
    return stopped_;
  }
  void GoOn() {
    const std::lock_guard lock(mutex_);
    stopped_ = false;
    changed_.notify_all();
  }
  std::vector<Operation> seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  const int stop_before_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false, ended_ = false;
  std::vector<Operation> seen_;
};

}  // namespace automot::model
