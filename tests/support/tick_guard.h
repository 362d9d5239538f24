// Counts what a planning tick must not do, on the calling thread, between construction and
// report().
//
// Linking this file replaces malloc and its family, the pthread locks and waits, and syscall() in
// the whole test binary by counting versions that forward to the C library; every C++ path above
// them (operator new, std::mutex, std::condition_variable, std::atomic::wait) ends there. An
// uncontended absl::Mutex is a plain atomic instruction and is not seen; a contended one is (its
// futex). Under a sanitizer the replacements are left out, because the sanitizer makes its own:
// supported() is false then, and a test that needs counts skips.
#pragma once

#include <cstdint>
#include <string>

namespace automot::test_support {

struct TickReport {
  uint64_t heap_calls = 0;          // malloc, calloc, realloc, aligned allocation, free of non-null
  uint64_t lock_calls = 0;          // mutex and read-write lock acquisitions, tried ones included
  uint64_t wait_calls = 0;          // condition variables, semaphores, futex through syscall()
  uint64_t voluntary_switches = 0;  // of this thread, by the kernel's account
  uint64_t minor_faults = 0;        // of this thread
  uint64_t major_faults = 0;
  // "heap=0 locks=0 ..."
  std::string ToString() const;
};

// One thread; guards may nest.
class TickGuard {
 public:
  TickGuard();
  TickReport report() const;
  static bool supported();

 private:
  TickReport start_;
};

}  // namespace automot::test_support
