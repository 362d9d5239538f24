// A background thread that runs one function every period, and once more when it stops.
//
// The destructor wakes the thread and joins it; the function must return soon. Runs at the lowest
// scheduling weight the system grants, so that it never competes with a planning thread.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "absl/time/time.h"

namespace automot::context {

class PeriodicThread {
 public:
  // `name` is cut to 15 characters (the system's limit).
  PeriodicThread(std::string name, absl::Duration period, std::function<void()> work);
  ~PeriodicThread();
  PeriodicThread(const PeriodicThread&) = delete;
  PeriodicThread& operator=(const PeriodicThread&) = delete;

 private:
  void Run(const std::string& name, absl::Duration period, const std::function<void()>& work);

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // under mutex_
  std::thread thread_;     // last: it uses the members above
};

}  // namespace automot::context
