// The operations on shared memory that the store makes, as whoever watches them sees them.
#pragma once

#include <atomic>
#include <cstdint>

namespace automot::model {

enum class OperationKind : uint8_t { kLoad, kStore, kReadModifyWrite, kLock, kUnlock };
const char* ToString(OperationKind kind);

struct Operation {
  OperationKind kind = OperationKind::kLoad;
  uint32_t variable = 0;  // numbered in the order of construction
  std::memory_order order = std::memory_order_seq_cst;
  uint64_t argument = 0;  // what is stored, added or expected
  bool writes() const { return kind != OperationKind::kLoad; }
};

struct Effect {
  uint64_t before = 0;  // value of the variable
  uint64_t now = 0;
  uint64_t read = 0;  // what the thread got
};

// Sees every operation of the threads that it watches, before it takes effect: may suspend the
// thread.
class Watcher {
 public:
  virtual ~Watcher() = default;
  virtual void Before(const Operation& operation) = 0;
  virtual void After(const Operation& operation, const Effect& effect) = 0;
  // True: the watcher does the locking itself, in Before; nothing is locked in earnest.
  virtual bool schedules() const { return false; }
};

inline thread_local Watcher* watcher = nullptr;   // null: nobody watches this thread
inline thread_local uint32_t variables_made = 0;  // by this thread since it was last set to 0

}  // namespace automot::model
