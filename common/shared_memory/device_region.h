// The region's twin on a GPU: device memory that one process fills and another maps, exported as a
// file descriptor (CUDA's virtual memory management), which travels over the same socket in the
// same kRegion message. No shared PID or IPC namespace is needed, unlike with CUDA IPC handles.
//
// The driver is loaded when it is first asked for: without one every call is UNAVAILABLE and says
// why. Only in builds with CUDA. Thread-safe but for the bytes.
//
// What it has no seals for: a device may grant no read-only mapping, and then the importer could
// write. So the model of trust is that of one program, tighter than that of MemoryRegion.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "common/context/memory_region.h"

namespace automot::shared_memory {

class DeviceRegion {
 public:
  // Devices that regions can be made on: 0 without a driver or with one that exports nothing.
  static int Devices();

  // Memory of `device` of at least `bytes`, rounded up to its granularity, mapped for reading and
  // writing. RESOURCE_EXHAUSTED: the device's memory. UNAVAILABLE: no driver.
  static absl::StatusOr<std::shared_ptr<DeviceRegion>> Create(int device, std::size_t bytes);
  // Maps what a peer exported on the same device, for reading where the device can tell the two
  // apart. INVALID_ARGUMENT: a size that is no multiple of the granularity. FAILED_PRECONDITION: no
  // export of this device's memory, or smaller than announced.
  static absl::StatusOr<std::shared_ptr<const DeviceRegion>> Import(
      context::UniqueDescriptor descriptor, int device, uint64_t announced_bytes);
  ~DeviceRegion();
  DeviceRegion(const DeviceRegion&) = delete;
  DeviceRegion& operator=(const DeviceRegion&) = delete;

  // Another descriptor of the same memory.
  absl::StatusOr<context::UniqueDescriptor> Export() const;

  uint64_t address() const { return address_; }  // on the device, valid while it lives
  std::size_t bytes() const { return bytes_; }

  // Copies from or to the start of the region and waits for it.
  absl::Status CopyIn(std::span<const std::byte> from);
  absl::Status CopyOut(std::span<std::byte> to) const;

 private:
  DeviceRegion(int device, uint64_t handle, std::size_t bytes)
      : device_(device), handle_(handle), bytes_(bytes) {}
  absl::Status MapOn(bool writable);

  const int device_;
  const uint64_t handle_;
  const std::size_t bytes_;
  uint64_t address_ = 0;
};

}  // namespace automot::shared_memory
