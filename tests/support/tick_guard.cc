#include "tests/support/tick_guard.h"

#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdlib>
#include <string>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define AUTOMOT_TICK_GUARD_COUNTS 0
#else
#define AUTOMOT_TICK_GUARD_COUNTS 1
#endif

namespace automot::test_support {
namespace {

// Zero-initialised, so that reading them allocates nothing, even before main.
thread_local uint64_t heap_calls;
thread_local uint64_t lock_calls;
thread_local uint64_t wait_calls;

TickReport Now() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return {.heap_calls = heap_calls,
          .lock_calls = lock_calls,
          .wait_calls = wait_calls,
          .voluntary_switches = static_cast<uint64_t>(usage.ru_nvcsw),
          .minor_faults = static_cast<uint64_t>(usage.ru_minflt),
          .major_faults = static_cast<uint64_t>(usage.ru_majflt)};
}

}  // namespace

TickGuard::TickGuard() : start_(Now()) {}

TickReport TickGuard::report() const {
  const TickReport now = Now();
  return {.heap_calls = now.heap_calls - start_.heap_calls,
          .lock_calls = now.lock_calls - start_.lock_calls,
          .wait_calls = now.wait_calls - start_.wait_calls,
          .voluntary_switches = now.voluntary_switches - start_.voluntary_switches,
          .minor_faults = now.minor_faults - start_.minor_faults,
          .major_faults = now.major_faults - start_.major_faults};
}

bool TickGuard::supported() { return AUTOMOT_TICK_GUARD_COUNTS != 0; }

std::string TickReport::ToString() const {
  const auto field = [](const char* name, uint64_t value) {
    return std::string(name) + "=" + std::to_string(value) + " ";
  };
  return field("heap", heap_calls) + field("locks", lock_calls) + field("waits", wait_calls) +
         field("voluntary_switches", voluntary_switches) + field("minor_faults", minor_faults) +
         field("major_faults", major_faults);
}

}  // namespace automot::test_support

#if AUTOMOT_TICK_GUARD_COUNTS

namespace guard = automot::test_support;

// The C library's own names for the functions replaced below.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);
}

namespace {

// The next definition of `name`, behind this binary's. Resolved once per call site, without a lock
// of ours.
template <typename Function>
Function* Next(const char* name, const char* version) {
  void* const found =
      version != nullptr ? dlvsym(RTLD_NEXT, name, version) : dlsym(RTLD_NEXT, name);
  if (found == nullptr) std::abort();
  return reinterpret_cast<Function*>(found);
}

}  // namespace

extern "C" {

void* malloc(std::size_t bytes) {
  ++guard::heap_calls;
  return __libc_malloc(bytes);
}
void* calloc(std::size_t count, std::size_t bytes) {
  ++guard::heap_calls;
  return __libc_calloc(count, bytes);
}
void* realloc(void* memory, std::size_t bytes) {
  ++guard::heap_calls;
  return __libc_realloc(memory, bytes);
}
void* memalign(std::size_t alignment, std::size_t bytes) {
  ++guard::heap_calls;
  return __libc_memalign(alignment, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  ++guard::heap_calls;
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** memory, std::size_t alignment, std::size_t bytes) {
  ++guard::heap_calls;
  void* const found = __libc_memalign(alignment, bytes);
  if (found == nullptr) return ENOMEM;
  *memory = found;
  return 0;
}
void free(void* memory) {
  if (memory != nullptr) ++guard::heap_calls;
  __libc_free(memory);
}

int pthread_mutex_lock(pthread_mutex_t* mutex) {
  static auto* const next = Next<int(pthread_mutex_t*)>("pthread_mutex_lock", nullptr);
  ++guard::lock_calls;
  return next(mutex);
}
int pthread_mutex_trylock(pthread_mutex_t* mutex) {
  static auto* const next = Next<int(pthread_mutex_t*)>("pthread_mutex_trylock", nullptr);
  ++guard::lock_calls;
  return next(mutex);
}
int pthread_rwlock_rdlock(pthread_rwlock_t* lock) {
  static auto* const next = Next<int(pthread_rwlock_t*)>("pthread_rwlock_rdlock", nullptr);
  ++guard::lock_calls;
  return next(lock);
}
int pthread_rwlock_wrlock(pthread_rwlock_t* lock) {
  static auto* const next = Next<int(pthread_rwlock_t*)>("pthread_rwlock_wrlock", nullptr);
  ++guard::lock_calls;
  return next(lock);
}

int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
  static auto* const next =
      Next<int(pthread_cond_t*, pthread_mutex_t*)>("pthread_cond_wait", "GLIBC_2.3.2");
  ++guard::wait_calls;
  return next(condition, mutex);
}
int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex, const timespec* end) {
  static auto* const next = Next<int(pthread_cond_t*, pthread_mutex_t*, const timespec*)>(
      "pthread_cond_timedwait", "GLIBC_2.3.2");
  ++guard::wait_calls;
  return next(condition, mutex, end);
}
int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                           const timespec* end) {
  static auto* const next =
      Next<int(pthread_cond_t*, pthread_mutex_t*, clockid_t, const timespec*)>(
          "pthread_cond_clockwait", nullptr);
  ++guard::wait_calls;
  return next(condition, mutex, clock, end);
}
int sem_wait(sem_t* semaphore) {
  static auto* const next = Next<int(sem_t*)>("sem_wait", nullptr);
  ++guard::wait_calls;
  return next(semaphore);
}
int sem_timedwait(sem_t* semaphore, const timespec* end) {
  static auto* const next = Next<int(sem_t*, const timespec*)>("sem_timedwait", nullptr);
  ++guard::wait_calls;
  return next(semaphore, end);
}
// std::atomic::wait, absl::Mutex under contention and gRPC's event engine reach the futex this way.
long syscall(long number, ...) {  // NOLINT: the C library's own prototype
  static auto* const next = Next<long(long, ...)>("syscall", nullptr);
  if (number == SYS_futex) ++guard::wait_calls;
  va_list list;
  va_start(list, number);
  long arguments[6];
  for (long& argument : arguments) argument = va_arg(list, long);
  va_end(list);
  return next(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
              arguments[5]);
}

}  // extern "C"

#endif
