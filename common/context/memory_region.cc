#include "common/context/memory_region.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/context/context_layout.h"

namespace automot::context {
namespace {

constexpr std::size_t kPageBytes = 4096;
// The largest layout in its size class.
constexpr uint64_t kMaxRegionBytes =
    ContextLayout::kMaxTotalBytes + ContextLayout::kMaxTotalBytes / 8;
constexpr int kSeals = F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;

absl::Status CheckSize(uint64_t bytes) {
  if (bytes > 0 && bytes <= kMaxRegionBytes && bytes % kPageBytes == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("a region of ", bytes,
                                                 " bytes; it must be a positive multiple of ",
                                                 kPageBytes, " and at most ", kMaxRegionBytes));
}

absl::Status Refused(const char* what, std::size_t bytes) {
  return absl::ResourceExhaustedError(absl::StrCat("the system refused to ", what, " a region of ",
                                                   bytes, " bytes: ", std::strerror(errno)));
}

absl::Status CheckSeals(int descriptor) {
  const int seals = fcntl(descriptor, F_GET_SEALS);
  if (seals < 0) return absl::FailedPreconditionError("the region is not a sealable memory file");
  const bool fixed = (seals & F_SEAL_GROW) != 0 && (seals & F_SEAL_SHRINK) != 0;
  if (!fixed || (seals & (F_SEAL_FUTURE_WRITE | F_SEAL_WRITE)) == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("the region has seals ", absl::Hex(seals),
                     "; it must be sealed against growing, shrinking and writing"));
  }
  return absl::OkStatus();
}

}  // namespace

UniqueDescriptor& UniqueDescriptor::operator=(UniqueDescriptor&& other) noexcept {
  if (this != &other) {
    Close();
    descriptor_ = other.Release();
  }
  return *this;
}

int UniqueDescriptor::Release() { return std::exchange(descriptor_, -1); }

void UniqueDescriptor::Close() {
  if (descriptor_ >= 0) close(Release());
}

MemoryRegion::MemoryRegion(UniqueDescriptor descriptor, std::span<std::byte> bytes)
    : descriptor_(std::move(descriptor)), bytes_(bytes), number_([] {
        static std::atomic<uint64_t> next{1};
        return next.fetch_add(1, std::memory_order_relaxed);
      }()) {}

MemoryRegion::~MemoryRegion() { munmap(bytes_.data(), bytes_.size()); }

absl::StatusOr<std::shared_ptr<MemoryRegion>> MemoryRegion::Create(std::size_t bytes,
                                                                   bool prefault) {
  if (absl::Status status = CheckSize(bytes); !status.ok()) return status;
  UniqueDescriptor descriptor(memfd_create("automot-context", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!descriptor.valid()) return Refused("open", bytes);
  if (ftruncate(descriptor.get(), static_cast<off_t>(bytes)) != 0) return Refused("size", bytes);
  const int flags = MAP_SHARED | (prefault ? MAP_POPULATE : 0);
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, descriptor.get(), 0);
  if (memory == MAP_FAILED) return Refused("map", bytes);
  std::shared_ptr<MemoryRegion> region(
      new MemoryRegion(std::move(descriptor), {static_cast<std::byte*>(memory), bytes}));
  if (fcntl(region->descriptor(), F_ADD_SEALS, kSeals) != 0) {
    return absl::UnimplementedError(
        absl::StrCat("the system cannot seal a region against writing: ", std::strerror(errno)));
  }
  return region;
}

absl::StatusOr<std::shared_ptr<const MappedRegion>> MappedRegion::Map(UniqueDescriptor descriptor,
                                                                      uint64_t announced_bytes) {
  if (absl::Status status = CheckSize(announced_bytes); !status.ok()) return status;
  struct stat file = {};
  if (fstat(descriptor.get(), &file) != 0 || !S_ISREG(file.st_mode)) {
    return absl::FailedPreconditionError("the region is not a memory file");
  }
  if (absl::Status status = CheckSeals(descriptor.get()); !status.ok()) return status;
  if (static_cast<uint64_t>(file.st_size) != announced_bytes) {
    return absl::FailedPreconditionError(
        absl::StrCat("the region has ", file.st_size, " bytes, announced ", announced_bytes));
  }
  void* const memory =
      mmap(nullptr, announced_bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, descriptor.get(), 0);
  if (memory == MAP_FAILED) return Refused("map", announced_bytes);
  return std::shared_ptr<const MappedRegion>(
      new MappedRegion({static_cast<const std::byte*>(memory), announced_bytes}));
}

MappedRegion::~MappedRegion() { munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size()); }

}  // namespace automot::context
