#include "common/model/step_storage.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace automot::model {
namespace {

constexpr std::size_t kHeaderBytes = 64;                     // also the alignment
constexpr std::size_t kRegionBytes = std::size_t{32} << 30;  // address space; memory comes on touch
constexpr std::size_t kSmallest = 256;
constexpr std::size_t kSteps = 4;  // sizes per doubling: at most a fifth of a block is unused
constexpr std::size_t kClasses = 4 * 30;
constexpr uint8_t kPriority = 1;  // above the default allocator's 0

}  // namespace

// Before the bytes of every block.
struct alignas(kHeaderBytes) StepBlock {
  StepPool* pool = nullptr;
  StepBlock* next = nullptr;
  std::size_t size_class = 0;
};
static_assert(sizeof(StepBlock) == kHeaderBytes);

namespace {

thread_local StepPool* current_pool = nullptr;

std::size_t BytesOf(std::size_t size_class) {
  const std::size_t doubling = kSmallest << (size_class / kSteps);
  return doubling + doubling / kSteps * (size_class % kSteps);
}

// The smallest class that holds `bytes`; kClasses where none does.
std::size_t ClassOf(std::size_t bytes) {
  if (bytes <= kSmallest) return 0;
  const std::size_t doubling = static_cast<std::size_t>(std::bit_width(bytes - 1)) -
                               static_cast<std::size_t>(std::bit_width(kSmallest));
  std::size_t candidate = doubling * kSteps;
  while (candidate < kClasses && BytesOf(candidate) < bytes) ++candidate;
  return candidate;
}

// One stretch of addresses: what lies in it is ours, whoever frees it and however.
class Region {
 public:
  bool Reserve() {
    void* const memory = ::mmap(nullptr, kRegionBytes, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return false;
    begin_ = static_cast<std::byte*>(memory);
    return true;
  }
  bool Contains(const void* pointer) const {
    const auto* const byte = static_cast<const std::byte*>(pointer);
    return begin_ != nullptr && byte >= begin_ && byte < begin_ + kRegionBytes;
  }
  // Null when the region is full.
  void* Take(std::size_t bytes) {
    const std::size_t offset = used_.fetch_add(bytes, std::memory_order_relaxed);
    return begin_ != nullptr && offset + bytes <= kRegionBytes ? begin_ + offset : nullptr;
  }

 private:
  std::byte* begin_ = nullptr;
  std::atomic<std::size_t> used_{0};
};

Region& TheRegion() {
  static auto* const region = new Region;
  return *region;
}

}  // namespace

// Blocks by size class. One thread allocates at a time; blocks come back from any.
class StepPool {
 public:
  // Null where the region is full or the size is absurd.
  void* Allocate(std::size_t bytes) {
    ++stats_.tensors;
    const std::size_t size_class = ClassOf(bytes);
    if (size_class >= kClasses) return nullptr;
    StepBlock*& kept = free_[size_class];
    if (kept == nullptr) CollectReturned();
    StepBlock* block = kept;
    if (block != nullptr) {
      kept = block->next;
    } else {
      block = NewBlock(size_class);
      if (block == nullptr) return nullptr;
    }
    return block + 1;
  }

  void Free(StepBlock* block) {
    if (current_pool == this) {
      block->next = std::exchange(free_[block->size_class], block);
      return;
    }
    block->next = returned_.load(std::memory_order_relaxed);
    while (!returned_.compare_exchange_weak(block->next, block, std::memory_order_release,
                                            std::memory_order_relaxed)) {
    }
  }

  void CountOutside(std::size_t bytes) {
    ++stats_.new_blocks;
    ++stats_.outside_blocks;
    stats_.new_bytes += bytes;
  }

  const StepStorageStats& stats() const { return stats_; }

 private:
  void CollectReturned() {
    StepBlock* block = returned_.exchange(nullptr, std::memory_order_acquire);
    while (block != nullptr) {
      StepBlock* const next = block->next;
      block->next = std::exchange(free_[block->size_class], block);
      block = next;
    }
  }

  StepBlock* NewBlock(std::size_t size_class) {
    const std::size_t bytes = sizeof(StepBlock) + BytesOf(size_class);
    void* const memory = TheRegion().Take(bytes);
    if (memory == nullptr) return nullptr;
    ++stats_.new_blocks;
    stats_.new_bytes += bytes;
    return new (memory) StepBlock{.pool = this, .size_class = size_class};
  }

  std::array<StepBlock*, kClasses> free_{};
  std::atomic<StepBlock*> returned_{nullptr};
  StepStorageStats stats_;
};

namespace {

// Also the raw deleter, which sees the pointers of both allocators: the region tells them apart.
void FreeAny(void* pointer) {
  if (TheRegion().Contains(pointer)) {
    StepBlock* const block = static_cast<StepBlock*>(pointer) - 1;
    block->pool->Free(block);
  } else {
    c10::GetDefaultCPUAllocator()->raw_deleter()(pointer);
  }
}

class RoutingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    StepPool* const pool = current_pool;
    if (pool != nullptr && bytes > 0) {
      if (void* const memory = pool->Allocate(bytes); memory != nullptr) {
        return {memory, memory, &FreeAny, at::Device(at::kCPU)};
      }
      pool->CountOutside(bytes);
    }
    return c10::GetDefaultCPUAllocator()->allocate(bytes);
  }
  c10::DeleterFnPtr raw_deleter() const override { return &FreeAny; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }
};

absl::Status InstallOnce() {
  if (c10::GetCPUAllocator() != c10::GetDefaultCPUAllocator()) {
    return absl::FailedPreconditionError("step storage: another CPU allocator is installed");
  }
  if (!TheRegion().Reserve()) {
    return absl::FailedPreconditionError("step storage: no address space for its region");
  }
  c10::SetCPUAllocator(new RoutingAllocator, kPriority);
  return absl::OkStatus();
}

// Pools live for ever: a tensor may come back to its pool at any time.
struct IdlePools {
  std::mutex mutex;
  std::vector<StepPool*> pools;
};

IdlePools& Idle() {
  static auto* const idle = new IdlePools;
  return *idle;
}

StepPool* LeasePool() {
  IdlePools& idle = Idle();
  const std::lock_guard lock(idle.mutex);
  if (idle.pools.empty()) return new StepPool;
  StepPool* const pool = idle.pools.back();
  idle.pools.pop_back();
  return pool;
}

}  // namespace

absl::Status StepStorage::Install() {
  static const auto* const status = new absl::Status(InstallOnce());
  return *status;
}

StepStorage::StepStorage() : pool_(LeasePool()) { Install().IgnoreError(); }

StepStorage::~StepStorage() {
  IdlePools& idle = Idle();
  const std::lock_guard lock(idle.mutex);
  idle.pools.push_back(pool_);
}

StepStorage::Scope::Scope(StepStorage& storage)
    : outer_(std::exchange(current_pool, storage.pool_)) {}

StepStorage::Scope::~Scope() { current_pool = outer_; }

StepStorageStats StepStorage::stats() const { return pool_->stats(); }

}  // namespace automot::model
