// Tells receivers about the state of their link, so that no caller of the engine is ever called
// back on its own stack.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "absl/base/thread_annotations.h"

namespace automot::reasoning {

// Thread-safe. Runs what is posted in order, on one thread. The destructor runs what is left.
class LinkThread {
 public:
  // `name` is the thread's, at most 15 characters.
  explicit LinkThread(const char* name = "reasoning-link");
  ~LinkThread();
  void Post(std::function<void()> notice);

 private:
  void Main();

  const char* const name_;
  std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<std::function<void()>> notices_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace automot::reasoning
