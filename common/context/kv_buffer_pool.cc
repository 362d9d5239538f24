#include "common/context/kv_buffer_pool.h"

#include <sys/mman.h>

#include <bit>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace automot::context {
namespace {

constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

std::byte* MapAnonymous(std::size_t bytes) {
  void* const memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<std::byte*>(memory);
}

// A mapping that begins where a huge page does: what is mapped around it is given back.
std::byte* MapAligned(std::size_t bytes) {
  std::byte* const memory = MapAnonymous(bytes + kHugePageBytes);
  if (memory == nullptr) return nullptr;
  const std::size_t past = reinterpret_cast<std::uintptr_t>(memory) % kHugePageBytes;
  const std::size_t head = past == 0 ? 0 : kHugePageBytes - past;
  if (head > 0) munmap(memory, head);
  if (head < kHugePageBytes) munmap(memory + head + bytes, kHugePageBytes - head);
  return memory + head;
}

// Asks for huge pages, which is advice: a copy of a snapshot then misses the TLB 512 times less.
absl::StatusOr<std::byte*> MapPrivate(std::size_t bytes, bool prefault) {
  const bool huge = bytes >= kHugePageBytes;
  std::byte* const memory = huge ? MapAligned(bytes) : MapAnonymous(bytes);
  if (memory == nullptr) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the system refused to map ", bytes, " bytes for a kv buffer"));
  }
  if (huge) madvise(memory, bytes, MADV_HUGEPAGE);
  if (prefault && madvise(memory, bytes, MADV_POPULATE_WRITE) != 0) {
    for (std::size_t at = 0; at < bytes; at += kPageBytes) memory[at] = std::byte{0};
  }
  return memory;
}

}  // namespace

// Outlives the pool object as long as a buffer is lent. Thread-safe.
class KvBufferPool::Arena {
 public:
  struct Mapping {
    std::byte* data = nullptr;
    std::size_t bytes = 0;
    std::shared_ptr<MemoryRegion> region;  // null: private memory
  };

  explicit Arena(const Options& options) : options_(options) {}
  ~Arena() {
    for (auto& [bytes, mapping] : idle_) Unmap(mapping);
  }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  absl::StatusOr<Mapping> Lend(std::size_t wanted) {
    {
      const std::lock_guard lock(mutex_);
      if (const std::optional<Mapping> reused = TakeIdle(wanted)) return *reused;
      AUTOMOT_RETURN_IF_ERROR(ReserveBudget(wanted));
    }
    // Mapping and pre-faulting take milliseconds: outside the lock, the budget already holds them.
    absl::StatusOr<Mapping> mapping = Map(wanted);
    const std::lock_guard lock(mutex_);
    if (!mapping.ok()) {
      stats_.mapped_bytes -= wanted;
      ++stats_.refusals;
      return mapping.status();
    }
    ++stats_.maps;
    Count(wanted);
    return mapping;
  }

  void TakeBack(Mapping mapping) {
    const bool retired = mapping.region != nullptr && mapping.region->retired();
    if (retired) Unmap(mapping);
    const std::lock_guard lock(mutex_);
    stats_.lent_bytes -= mapping.bytes;
    --stats_.lent_buffers;
    if (retired) {
      stats_.mapped_bytes -= mapping.bytes;
      ++stats_.unmaps;
      return;
    }
    idle_bytes_ += mapping.bytes;
    idle_.emplace(mapping.bytes, std::move(mapping));
  }

  Stats stats() const {
    const std::lock_guard lock(mutex_);
    Stats stats = stats_;
    stats.idle_buffers = idle_.size();
    stats.limit_bytes = options_.byte_budget;
    return stats;
  }

 private:
  absl::StatusOr<Mapping> Map(std::size_t bytes) const {
    if (options_.backing == Backing::kPrivate) {
      AUTOMOT_ASSIGN_OR_RETURN(std::byte * data, MapPrivate(bytes, options_.prefault));
      return Mapping{.data = data, .bytes = bytes};
    }
    AUTOMOT_ASSIGN_OR_RETURN(auto region, MemoryRegion::Create(bytes, options_.prefault));
    return Mapping{.data = region->bytes().data(), .bytes = bytes, .region = region};
  }

  static void Unmap(Mapping& mapping) {
    if (mapping.region == nullptr) munmap(mapping.data, mapping.bytes);
    mapping.region.reset();
  }

  std::optional<Mapping> TakeIdle(std::size_t wanted) {
    const auto fit = idle_.lower_bound(wanted);
    if (fit == idle_.end() || fit->first > 2 * wanted) return std::nullopt;
    Mapping mapping = std::move(fit->second);
    idle_.erase(fit);
    idle_bytes_ -= mapping.bytes;
    Count(mapping.bytes);
    return mapping;
  }

  // Gives up idle buffers, smallest first, only when they make enough room.
  absl::Status ReserveBudget(std::size_t wanted) {
    const std::size_t in_use = stats_.mapped_bytes - idle_bytes_;
    if (wanted > options_.byte_budget || in_use > options_.byte_budget - wanted) {
      ++stats_.refusals;
      return absl::ResourceExhaustedError(
          absl::StrCat("kv buffer of ", wanted, " bytes refused: ", in_use, " bytes in use, limit ",
                       options_.byte_budget, " bytes"));
    }
    while (stats_.mapped_bytes > options_.byte_budget - wanted) {
      const auto victim = idle_.begin();
      Unmap(victim->second);
      stats_.mapped_bytes -= victim->first;
      idle_bytes_ -= victim->first;
      ++stats_.unmaps;
      idle_.erase(victim);
    }
    stats_.mapped_bytes += wanted;
    return absl::OkStatus();
  }

  void Count(std::size_t bytes) {
    stats_.lent_bytes += bytes;
    ++stats_.lent_buffers;
  }

  const Options options_;
  mutable std::mutex mutex_;
  Stats stats_;                               // under mutex_
  std::size_t idle_bytes_ = 0;                // under mutex_
  std::multimap<std::size_t, Mapping> idle_;  // by mapped bytes; under mutex_
};

KvBufferPool::KvBufferPool(const Options& options) : arena_(std::make_shared<Arena>(options)) {}
KvBufferPool::~KvBufferPool() = default;

std::size_t KvBufferPool::SizeClass(std::size_t bytes) {
  if (bytes <= 8 * kPageBytes) return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  const std::size_t step = std::bit_floor(bytes - 1) / 8;
  return (bytes + step - 1) / step * step;
}

absl::StatusOr<KvBuffer> KvBufferPool::Acquire(const ContextLayout& layout) {
  AUTOMOT_RETURN_IF_ERROR(layout.Validate());
  AUTOMOT_ASSIGN_OR_RETURN(const Arena::Mapping mapping,
                           arena_->Lend(SizeClass(layout.total_bytes())));
  std::shared_ptr<void> owner(mapping.data, [arena = arena_, mapping](void*) mutable {
    arena->TakeBack(std::move(mapping));
  });
  const std::span<std::byte> memory(mapping.data, mapping.bytes);
  if (mapping.region == nullptr) return KvBuffer::Adopt(layout, memory, std::move(owner));
  auto place = std::make_shared<const RegionPlace>(
      RegionPlace{.region = mapping.region, .generation = mapping.region->NextGeneration()});
  return KvBuffer::AdoptRegion(layout, memory, std::move(owner), std::move(place));
}

KvBufferPool::Stats KvBufferPool::stats() const { return arena_->stats(); }

}  // namespace automot::context
