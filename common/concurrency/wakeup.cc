#include "common/concurrency/wakeup.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace automot {

Wakeup::Wakeup() : event_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (event_fd_ < 0) {
    std::perror("eventfd");
    std::abort();  // Out of file descriptors at start-up: nothing can be served.
  }
}

Wakeup::~Wakeup() { close(event_fd_); }

// Every write of `sleeping_` is an exchange: the sleeper's exchange in PrepareToSleep comes either
// before the notifier's, which then sees a sleeper, or after it, and has then acquired the work.
// (Fences would say the same, but the thread sanitizer does not know them.)
void Wakeup::Notify() {
  if (sleeping_.exchange(false, std::memory_order_acq_rel)) {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(event_fd_, &one, sizeof(one));
  }
}

void Wakeup::PrepareToSleep() { sleeping_.exchange(true, std::memory_order_acq_rel); }

void Wakeup::CancelSleep() { sleeping_.exchange(false, std::memory_order_acq_rel); }

void Wakeup::Sleep(absl::Duration timeout) {
  pollfd descriptor{event_fd_, POLLIN, 0};
  const timespec limit =
      absl::ToTimespec(timeout < absl::ZeroDuration() ? absl::ZeroDuration() : timeout);
  ppoll(&descriptor, 1, timeout == absl::InfiniteDuration() ? nullptr : &limit, nullptr);
  sleeping_.exchange(false, std::memory_order_acq_rel);
  uint64_t drained = 0;
  [[maybe_unused]] const ssize_t got = read(event_fd_, &drained, sizeof(drained));
}

}  // namespace automot
