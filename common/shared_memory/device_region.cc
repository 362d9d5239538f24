#include "common/shared_memory/device_region.h"

#include <cuda.h>
#include <dlfcn.h>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace automot::shared_memory {
namespace {

// The driver's functions that regions need. cuda.h renames some of them.
struct Driver {
  decltype(&cuInit) init;
  decltype(&cuDeviceGetCount) count;
  decltype(&cuDeviceGetAttribute) attribute;
  decltype(&cuDevicePrimaryCtxRetain) retain;
  decltype(&cuCtxSetCurrent) set_current;
  decltype(&cuMemGetAllocationGranularity) granularity;
  decltype(&cuMemCreate) create;
  decltype(&cuMemRelease) release;
  decltype(&cuMemAddressReserve) reserve;
  decltype(&cuMemAddressFree) free;
  decltype(&cuMemMap) map;
  decltype(&cuMemUnmap) unmap;
  decltype(&cuMemSetAccess) set_access;
  decltype(&cuMemExportToShareableHandle) export_handle;
  decltype(&cuMemImportFromShareableHandle) import_handle;
  decltype(&cuMemcpyHtoD) copy_in;
  decltype(&cuMemcpyDtoH) copy_out;
};

template <typename Function>
bool Find(void* library, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(library, name));
  return *function != nullptr;
}

absl::StatusOr<Driver> Load() {
  void* const library = dlopen("libcuda.so.1", RTLD_NOW);
  if (library == nullptr) return absl::UnavailableError("there is no CUDA driver");
  Driver d = {};
  const bool complete =
      Find(library, "cuInit", &d.init) && Find(library, "cuDeviceGetCount", &d.count) &&
      Find(library, "cuDeviceGetAttribute", &d.attribute) &&
      Find(library, "cuDevicePrimaryCtxRetain", &d.retain) &&
      Find(library, "cuCtxSetCurrent", &d.set_current) &&
      Find(library, "cuMemGetAllocationGranularity", &d.granularity) &&
      Find(library, "cuMemCreate", &d.create) && Find(library, "cuMemRelease", &d.release) &&
      Find(library, "cuMemAddressReserve", &d.reserve) &&
      Find(library, "cuMemAddressFree", &d.free) && Find(library, "cuMemMap", &d.map) &&
      Find(library, "cuMemUnmap", &d.unmap) && Find(library, "cuMemSetAccess", &d.set_access) &&
      Find(library, "cuMemExportToShareableHandle", &d.export_handle) &&
      Find(library, "cuMemImportFromShareableHandle", &d.import_handle) &&
      Find(library, "cuMemcpyHtoD_v2", &d.copy_in) && Find(library, "cuMemcpyDtoH_v2", &d.copy_out);
  if (!complete) return absl::UnavailableError("the CUDA driver is too old to export memory");
  if (const CUresult result = d.init(0); result != CUDA_SUCCESS) {
    return absl::UnavailableError(absl::StrCat("the CUDA driver does not start: error ", result));
  }
  return d;
}

const absl::StatusOr<Driver>& TheDriver() {
  static const auto* const driver = new absl::StatusOr<Driver>(Load());
  return *driver;
}

absl::Status Failed(const char* what, CUresult result) {
  const std::string text = absl::StrCat("cannot ", what, " device memory: CUDA error ", result);
  if (result == CUDA_ERROR_OUT_OF_MEMORY) return absl::ResourceExhaustedError(text);
  return absl::FailedPreconditionError(text);
}

CUmemAllocationProp PropertiesOf(int device) {
  CUmemAllocationProp properties = {};
  properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
  properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, device};
  return properties;
}

// Makes the device's primary context current; it is kept for the life of the process.
absl::Status Enter(const Driver& driver, int device) {
  CUcontext context = nullptr;
  CUresult result = driver.retain(&context, device);
  if (result == CUDA_SUCCESS) result = driver.set_current(context);
  return result == CUDA_SUCCESS ? absl::OkStatus() : Failed("reach", result);
}

absl::StatusOr<std::size_t> GranularityOf(const Driver& driver, int device) {
  const CUmemAllocationProp properties = PropertiesOf(device);
  std::size_t bytes = 0;
  const CUresult result = driver.granularity(&bytes, &properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM);
  if (result != CUDA_SUCCESS) return Failed("measure", result);
  return bytes;
}

}  // namespace

int DeviceRegion::Devices() {
  const auto& driver = TheDriver();
  int count = 0;
  if (!driver.ok() || driver->count(&count) != CUDA_SUCCESS) return 0;
  int exports = 0;
  if (count == 0 ||
      driver->attribute(&exports, CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED,
                        0) != CUDA_SUCCESS) {
    return 0;
  }
  return exports != 0 ? count : 0;
}

absl::StatusOr<std::shared_ptr<DeviceRegion>> DeviceRegion::Create(int device, std::size_t bytes) {
  AUTOMOT_ASSIGN_OR_RETURN(const Driver driver, TheDriver());
  AUTOMOT_RETURN_IF_ERROR(Enter(driver, device));
  AUTOMOT_ASSIGN_OR_RETURN(const std::size_t step, GranularityOf(driver, device));
  const std::size_t rounded = (bytes + step - 1) / step * step;
  const CUmemAllocationProp properties = PropertiesOf(device);
  CUmemGenericAllocationHandle handle = 0;
  if (const CUresult result = driver.create(&handle, rounded, &properties, 0);
      result != CUDA_SUCCESS) {
    return Failed("allocate", result);
  }
  std::shared_ptr<DeviceRegion> region(new DeviceRegion(device, handle, rounded));
  AUTOMOT_RETURN_IF_ERROR(region->MapOn(true));
  return region;
}

absl::StatusOr<std::shared_ptr<const DeviceRegion>> DeviceRegion::Import(
    context::UniqueDescriptor descriptor, int device, uint64_t announced_bytes) {
  AUTOMOT_ASSIGN_OR_RETURN(const Driver driver, TheDriver());
  AUTOMOT_RETURN_IF_ERROR(Enter(driver, device));
  AUTOMOT_ASSIGN_OR_RETURN(const std::size_t step, GranularityOf(driver, device));
  if (announced_bytes == 0 || announced_bytes % step != 0) {
    return absl::InvalidArgumentError(absl::StrCat("a device region of ", announced_bytes,
                                                   " bytes; it must be a multiple of ", step));
  }
  CUmemGenericAllocationHandle handle = 0;
  void* const shared = reinterpret_cast<void*>(static_cast<std::intptr_t>(descriptor.get()));
  if (const CUresult result =
          driver.import_handle(&handle, shared, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
      result != CUDA_SUCCESS) {
    return Failed("import", result);
  }
  std::shared_ptr<DeviceRegion> region(new DeviceRegion(device, handle, announced_bytes));
  AUTOMOT_RETURN_IF_ERROR(region->MapOn(false));  // fails where less was exported
  return std::shared_ptr<const DeviceRegion>(std::move(region));
}

absl::Status DeviceRegion::MapOn(bool writable) {
  const Driver& driver = *TheDriver();
  CUdeviceptr address = 0;
  if (const CUresult result = driver.reserve(&address, bytes_, 0, 0, 0); result != CUDA_SUCCESS) {
    return Failed("reserve room for", result);
  }
  if (const CUresult result = driver.map(address, bytes_, 0, handle_, 0); result != CUDA_SUCCESS) {
    driver.free(address, bytes_);
    return Failed("map", result);
  }
  address_ = address;
  CUmemAccessDesc access = {};
  access.location = {CU_MEM_LOCATION_TYPE_DEVICE, device_};
  access.flags = CU_MEM_ACCESS_FLAGS_PROT_READ;
  if (!writable && driver.set_access(address, bytes_, &access, 1) == CUDA_SUCCESS) {
    return absl::OkStatus();
  }
  access.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
  const CUresult result = driver.set_access(address, bytes_, &access, 1);
  return result == CUDA_SUCCESS ? absl::OkStatus() : Failed("allow access to", result);
}

DeviceRegion::~DeviceRegion() {
  const Driver& driver = *TheDriver();
  if (address_ != 0) {
    driver.unmap(address_, bytes_);
    driver.free(address_, bytes_);
  }
  driver.release(handle_);
}

absl::StatusOr<context::UniqueDescriptor> DeviceRegion::Export() const {
  int descriptor = -1;
  const CUresult result =
      TheDriver()->export_handle(&descriptor, handle_, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0);
  if (result != CUDA_SUCCESS) return Failed("export", result);
  return context::UniqueDescriptor(descriptor);
}

absl::Status DeviceRegion::CopyIn(std::span<const std::byte> from) {
  if (from.size() > bytes_) return absl::OutOfRangeError("the region is smaller");
  const Driver& driver = *TheDriver();
  AUTOMOT_RETURN_IF_ERROR(Enter(driver, device_));
  const CUresult result = driver.copy_in(address_, from.data(), from.size());
  return result == CUDA_SUCCESS ? absl::OkStatus() : Failed("write", result);
}

absl::Status DeviceRegion::CopyOut(std::span<std::byte> to) const {
  if (to.size() > bytes_) return absl::OutOfRangeError("the region is smaller");
  const Driver& driver = *TheDriver();
  AUTOMOT_RETURN_IF_ERROR(Enter(driver, device_));
  const CUresult result = driver.copy_out(to.data(), address_, to.size());
  return result == CUDA_SUCCESS ? absl::OkStatus() : Failed("read", result);
}

}  // namespace automot::shared_memory
