// Input: a safetensors file. It is refused, or its tensors tile the data section and are readable.
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "common/checkpoint/safetensors.h"
#include "common/checkpoint/safetensors_header.h"
#include "tests/fuzz/fuzz_check.h"

namespace automot::model {
namespace {

using fuzz::Check;

void CheckReadable(const SafetensorsFile& file, const TensorView& tensor) {
  const auto bytes = TensorBytes(tensor.dtype, tensor.shape);
  Check(bytes.ok() && *bytes == tensor.bytes.size(), "bytes = shape x dtype");
  Check(file.Find(tensor.name) == &tensor, "a tensor is found by its name");
  size_t seen = 0;
  unsigned sum = 0;
  file.Stream(tensor.bytes, [&](absl::Span<const std::byte> piece) {
    seen += piece.size();
    for (const std::byte byte : piece) sum += static_cast<unsigned>(byte);
  });
  Check(seen == tensor.bytes.size(), "a walk sees every byte");
  Check(tensor.bytes.empty() || file.Holds(tensor.bytes), "tensors lie in the file");
  volatile unsigned sink = sum;  // keeps the reads
  static_cast<void>(sink);
}

void CheckFile(const SafetensorsFile& file, size_t size) {
  size_t total = 0;
  const std::byte* end = nullptr;
  for (const TensorView& tensor : file.tensors()) {
    CheckReadable(file, tensor);
    Check(end == nullptr || tensor.bytes.data() == end, "tensors leave no gap and do not overlap");
    end = tensor.bytes.data() + tensor.bytes.size();
    total += tensor.bytes.size();
  }
  Check(total + 8 <= size, "tensors leave room for the header");
}

}  // namespace
}  // namespace automot::model

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const int fd = memfd_create("fuzz", MFD_CLOEXEC);
  automot::fuzz::Check(fd >= 0 && write(fd, data, size) == static_cast<ssize_t>(size), "memfd");
  const auto file = automot::model::SafetensorsFile::Open("/proc/self/fd/" + std::to_string(fd));
  close(fd);
  if (file.ok()) automot::model::CheckFile(**file, size);
  return 0;
}
