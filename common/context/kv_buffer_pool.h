// A bounded pool of pre-faulted snapshot buffers.
//
// Buffers are mapped once, touched page by page, and then recycled by size class, so that a
// snapshot in steady state costs no system call and the planning thread that reads it takes no page
// fault. Thread-safe; takes a mutex, so it belongs to link and reasoning threads: the planning
// thread never calls it, and never frees a buffer either (SnapshotStore's janitor does). Buffers
// may outlive the pool object: the mapping table is shared with every buffer handed out.
//
// With Backing::kSharedRegion each mapping is a MemoryRegion, whose use gets a new generation at
// every hand-out; a region that was retired while it was lent is given back to the system.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "common/context/context_layout.h"
#include "common/context/kv_buffer.h"

namespace automot::context {

class KvBufferPool {
 public:
  enum class Backing : uint8_t { kPrivate, kSharedRegion };
  struct Options {
    std::size_t byte_budget = std::size_t{8} << 30;  // mapped bytes, lent and idle together
    bool prefault = true;                            // touch every page before the first hand-out
    Backing backing = Backing::kPrivate;
  };
  struct Stats {
    std::size_t limit_bytes = 0;   // the budget
    std::size_t mapped_bytes = 0;  // lent + idle
    std::size_t lent_bytes = 0;
    std::size_t lent_buffers = 0;
    std::size_t idle_buffers = 0;
    uint64_t maps = 0;      // buffers mapped since the start
    uint64_t unmaps = 0;    // given up to make room for another size class, or retired
    uint64_t refusals = 0;  // Acquire calls answered RESOURCE_EXHAUSTED
  };

  explicit KvBufferPool(const Options& options);
  ~KvBufferPool();
  KvBufferPool(const KvBufferPool&) = delete;
  KvBufferPool& operator=(const KvBufferPool&) = delete;

  // A buffer of unspecified contents for `layout`. The smallest idle buffer that fits (and wastes
  // at most as much as it uses) is reused; else a new one is mapped within the budget, giving up
  // idle buffers of other size classes only if nothing else makes room. INVALID_ARGUMENT: the
  // layout. RESOURCE_EXHAUSTED: the budget, naming the bytes and the limit.
  absl::StatusOr<KvBuffer> Acquire(const ContextLayout& layout);

  Stats stats() const;

  // Bytes actually mapped for a request of `bytes`: the next of eight steps per power of two, at
  // least one page, so that prompts of slightly different length share buffers. Waste is below 1/8.
  static std::size_t SizeClass(std::size_t bytes);

 private:
  class Arena;  // owns the mappings; shared with the buffers
  std::shared_ptr<Arena> arena_;
};

}  // namespace automot::context
