// A bounded queue for many producers and many consumers (D. Vyukov's array queue). Push and pop
// take no lock, allocate nothing and never wait: a full or empty queue is an answer. Elements are
// small trivially copyable values, usually pointers.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

namespace automot {

template <typename T>
class BoundedQueue {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  // The capacity is rounded up to a power of two, at least 2.
  explicit BoundedQueue(size_t capacity)
      : mask_(RoundUp(capacity) - 1), cells_(new Cell[mask_ + 1]) {
    for (size_t i = 0; i <= mask_; ++i) cells_[i].turn.store(i, std::memory_order_relaxed);
  }

  size_t capacity() const { return mask_ + 1; }

  // False when full.
  bool TryPush(T value) {
    size_t position = tail_.load(std::memory_order_relaxed);
    for (;;) {
      Cell& cell = cells_[position & mask_];
      const auto distance = static_cast<intptr_t>(cell.turn.load(std::memory_order_acquire)) -
                            static_cast<intptr_t>(position);
      if (distance < 0) return false;
      if (distance > 0) {
        position = tail_.load(std::memory_order_relaxed);
      } else if (tail_.compare_exchange_weak(position, position + 1, std::memory_order_relaxed)) {
        cell.value = value;
        cell.turn.store(position + 1, std::memory_order_release);
        return true;
      }
    }
  }

  // False when empty.
  bool TryPop(T* value) {
    size_t position = head_.load(std::memory_order_relaxed);
    for (;;) {
      Cell& cell = cells_[position & mask_];
      const auto distance = static_cast<intptr_t>(cell.turn.load(std::memory_order_acquire)) -
                            static_cast<intptr_t>(position + 1);
      if (distance < 0) return false;
      if (distance > 0) {
        position = head_.load(std::memory_order_relaxed);
      } else if (head_.compare_exchange_weak(position, position + 1, std::memory_order_relaxed)) {
        *value = cell.value;
        cell.turn.store(position + mask_ + 1, std::memory_order_release);
        return true;
      }
    }
  }

 private:
  struct Cell {
    std::atomic<size_t> turn{0};
    T value{};
  };

  static size_t RoundUp(size_t capacity) {
    size_t power = 2;
    while (power < capacity) power *= 2;
    return power;
  }

  const size_t mask_;
  const std::unique_ptr<Cell[]> cells_;
  alignas(64) std::atomic<size_t> tail_{0};
  alignas(64) std::atomic<size_t> head_{0};
};

}  // namespace automot
