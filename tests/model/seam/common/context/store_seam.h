// Stands in for common/context/store_seam.h where the store is model-checked or stopped: atomics
// and mutexes that tell a Watcher of every operation.
#pragma once

#include <atomic>
#include <mutex>
#include <type_traits>

#include "tests/model/operation.h"

namespace automot::context::seam {

template <typename T>
class Atomic {
 public:
  Atomic() : Atomic(T{}) {}
  Atomic(T value) : value_(value), variable_(model::variables_made++) {}  // NOLINT: as std::atomic
  Atomic(const Atomic&) = delete;
  Atomic& operator=(const Atomic&) = delete;

  T load(std::memory_order order = std::memory_order_seq_cst) const {
    return Watched(model::OperationKind::kLoad, order, T{}, [&] { return value_.load(order); });
  }
  void store(T value, std::memory_order order = std::memory_order_seq_cst) {
    Watched(model::OperationKind::kStore, order, value, [&] {
      value_.store(value, order);
      return T{};
    });
  }
  T exchange(T value, std::memory_order order = std::memory_order_seq_cst) {
    return Watched(model::OperationKind::kReadModifyWrite, order, value,
                   [&] { return value_.exchange(value, order); });
  }
  T fetch_add(T value, std::memory_order order = std::memory_order_seq_cst) {
    return Watched(model::OperationKind::kReadModifyWrite, order, value,
                   [&] { return value_.fetch_add(value, order); });
  }
  T fetch_sub(T value, std::memory_order order = std::memory_order_seq_cst) {
    return Watched(model::OperationKind::kReadModifyWrite, order, value,
                   [&] { return value_.fetch_sub(value, order); });
  }
  bool compare_exchange_strong(T& expected, T desired,
                               std::memory_order order = std::memory_order_seq_cst) {
    const T wanted = expected;
    const T seen = Watched(model::OperationKind::kReadModifyWrite, order, desired, [&] {
      value_.compare_exchange_strong(expected, desired, order);
      return expected;
    });
    return seen == wanted;
  }
  // For fingerprints of a state: seen by nobody.
  T Unwatched() const { return value_.load(std::memory_order_relaxed); }

 private:
  template <typename Act>
  T Watched(model::OperationKind kind, std::memory_order order, T argument, Act act) const {
    model::Watcher* const watcher = model::watcher;
    if (watcher == nullptr) return act();
    const model::Operation operation{kind, variable_, order, static_cast<uint64_t>(argument)};
    watcher->Before(operation);
    model::Effect effect{.before = static_cast<uint64_t>(Unwatched())};
    const T read = act();
    effect.now = static_cast<uint64_t>(Unwatched());
    effect.read = static_cast<uint64_t>(read);
    watcher->After(operation, effect);
    return read;
  }

  std::atomic<T> value_;
  const uint32_t variable_;
};

class Mutex {
 public:
  void lock() {
    const bool real = Watched(model::OperationKind::kLock);
    if (real) mutex_.lock();
  }
  void unlock() {
    if (model::watcher == nullptr || !model::watcher->schedules()) mutex_.unlock();
    Watched(model::OperationKind::kUnlock);
  }

 private:
  // True where the caller is to do it in earnest.
  bool Watched(model::OperationKind kind) const {
    model::Watcher* const watcher = model::watcher;
    if (watcher == nullptr) return true;
    const model::Operation operation{kind, variable_, std::memory_order_seq_cst, 0};
    watcher->Before(operation);
    watcher->After(operation, {});
    return !watcher->schedules();
  }

  std::mutex mutex_;
  const uint32_t variable_ = model::variables_made++;
};

}  // namespace automot::context::seam
