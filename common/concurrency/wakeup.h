// Lets one thread sleep until another has work for it. Notify never waits; it makes a system call
// only when the sleeper sleeps.
#pragma once

#include <atomic>

#include "absl/time/time.h"

namespace automot {

// Any number of notifiers, one sleeper. The sleeper's order is: PrepareToSleep, look for work once
// more, then Sleep or CancelSleep.
class Wakeup {
 public:
  Wakeup();
  ~Wakeup();
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;

  void Notify();

  void PrepareToSleep();
  void CancelSleep();
  // Returns when notified since PrepareToSleep, or after `timeout`.
  void Sleep(absl::Duration timeout);

 private:
  int event_fd_;
  std::atomic<bool> sleeping_{false};
};

}  // namespace automot
