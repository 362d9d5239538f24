// Memory that one process fills and others may only read: an anonymous file (memfd) with seals.
//
// The producer maps its region writable once and then seals it against growing, shrinking and every
// later writable mapping, its own included, so that whoever gets the descriptor can read and can
// neither write nor pull the pages away under a reader. A consumer trusts nothing: MappedRegion
// looks at the descriptor's type, size and seals before it maps.
//
// What the seals leave to trust: the producer's own mapping stays writable. That it does not
// rewrite what a consumer still reads is the business of whoever lends regions out (generations,
// releases).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/statusor.h"

namespace automot::context {

// A file descriptor with an owner.
class UniqueDescriptor {
 public:
  UniqueDescriptor() = default;
  explicit UniqueDescriptor(int descriptor) : descriptor_(descriptor) {}
  UniqueDescriptor(UniqueDescriptor&& other) noexcept : descriptor_(other.Release()) {}
  UniqueDescriptor& operator=(UniqueDescriptor&& other) noexcept;
  ~UniqueDescriptor() { Close(); }

  int get() const { return descriptor_; }
  bool valid() const { return descriptor_ >= 0; }
  int Release();
  void Close();

 private:
  int descriptor_ = -1;
};

// The producer's end. Thread-safe but for the bytes.
class MemoryRegion {
 public:
  // A sealed region of `bytes`, a positive multiple of the page; `prefault` touches every page.
  // RESOURCE_EXHAUSTED: the system refuses memory or descriptors. UNIMPLEMENTED: it knows no such
  // seals.
  static absl::StatusOr<std::shared_ptr<MemoryRegion>> Create(std::size_t bytes, bool prefault);
  ~MemoryRegion();
  MemoryRegion(const MemoryRegion&) = delete;
  MemoryRegion& operator=(const MemoryRegion&) = delete;

  std::span<std::byte> bytes() const { return bytes_; }
  int descriptor() const { return descriptor_.get(); }
  // Unique in this process, from 1.
  uint64_t number() const { return number_; }

  // Begins another use of the region, from 1. Every reader of the use before must be gone.
  uint64_t NextGeneration() { return generation_.fetch_add(1, std::memory_order_relaxed) + 1; }

  // Somebody may read it for ever: it must never be written again, so no pool may keep it.
  void Retire() { retired_.store(true, std::memory_order_release); }
  bool retired() const { return retired_.load(std::memory_order_acquire); }

 private:
  MemoryRegion(UniqueDescriptor descriptor, std::span<std::byte> bytes);

  const UniqueDescriptor descriptor_;
  const std::span<std::byte> bytes_;
  const uint64_t number_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<bool> retired_{false};
};

// One use of a region: where a buffer lies.
struct RegionPlace {
  std::shared_ptr<MemoryRegion> region;
  uint64_t generation = 0;
  uint64_t offset_bytes = 0;
};

// The consumer's end: read-only, mapped as long as it lives. Immutable.
class MappedRegion {
 public:
  // Maps what a peer passed, every page present when it returns. FAILED_PRECONDITION: not a sealed
  // memory file, or not of `announced_bytes`. INVALID_ARGUMENT: a size that no region has.
  // RESOURCE_EXHAUSTED: the system refuses to map.
  static absl::StatusOr<std::shared_ptr<const MappedRegion>> Map(UniqueDescriptor descriptor,
                                                                 uint64_t announced_bytes);
  ~MappedRegion();
  MappedRegion(const MappedRegion&) = delete;
  MappedRegion& operator=(const MappedRegion&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  explicit MappedRegion(std::span<const std::byte> bytes) : bytes_(bytes) {}

  const std::span<const std::byte> bytes_;
};

}  // namespace automot::context
