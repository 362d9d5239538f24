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

void Wakeup::Notify() {
  // Pairs with PrepareToSleep: either this sees the sleeper, or the sleeper's second look sees the
  // work.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (sleeping_.exchange(false, std::memory_order_acq_rel)) {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(event_fd_, &one, sizeof(one));
  }
}

void Wakeup::PrepareToSleep() {
  sleeping_.store(true, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

void Wakeup::CancelSleep() { sleeping_.store(false, std::memory_order_relaxed); }

void Wakeup::Sleep(absl::Duration timeout) {
  pollfd descriptor{event_fd_, POLLIN, 0};
  const timespec limit =
      absl::ToTimespec(timeout < absl::ZeroDuration() ? absl::ZeroDuration() : timeout);
  ppoll(&descriptor, 1, timeout == absl::InfiniteDuration() ? nullptr : &limit, nullptr);
  sleeping_.store(false, std::memory_order_relaxed);
  uint64_t drained = 0;
  [[maybe_unused]] const ssize_t got = read(event_fd_, &drained, sizeof(drained));
}

}  // namespace automot
