#include "common/context/kv_buffer.h"

#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace automot::context {

absl::StatusOr<KvBuffer> KvBuffer::Adopt(const ContextLayout& layout, std::span<std::byte> memory,
                                         std::shared_ptr<void> owner) {
  AUTOMOT_RETURN_IF_ERROR(layout.Validate());
  if (memory.size() < layout.total_bytes()) {
    return absl::InvalidArgumentError(absl::StrCat("kv memory has ", memory.size(),
                                                   " bytes, layout (", layout.ToString(),
                                                   ") needs ", layout.total_bytes()));
  }
  if (reinterpret_cast<std::uintptr_t>(memory.data()) % kTensorAlignment != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("kv memory is not aligned to ", kTensorAlignment, " bytes"));
  }
  return KvBuffer(layout, memory.data(), std::move(owner));
}

absl::StatusOr<KvBuffer> KvBuffer::AdoptRegion(const ContextLayout& layout,
                                               std::span<std::byte> memory,
                                               std::shared_ptr<void> owner,
                                               std::shared_ptr<const RegionPlace> place) {
  AUTOMOT_ASSIGN_OR_RETURN(KvBuffer buffer, Adopt(layout, memory, std::move(owner)));
  buffer.place_ = std::move(place);
  return buffer;
}

absl::StatusOr<KvBuffer> KvBuffer::Allocate(const ContextLayout& layout) {
  AUTOMOT_RETURN_IF_ERROR(layout.Validate());
  const std::size_t bytes = layout.total_bytes();  // a multiple of the alignment
  void* const memory = std::aligned_alloc(kTensorAlignment, bytes);
  if (memory == nullptr) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory for a kv buffer of ", bytes, " bytes"));
  }
  std::memset(memory, 0, bytes);
  return Adopt(layout, {static_cast<std::byte*>(memory), bytes},
               std::shared_ptr<void>(memory, [](void* p) { std::free(p); }));
}

std::span<std::byte> KvBuffer::Tensor(int layer, TensorKind tensor) {
  return {data_ + layout_.offset_bytes(layer, tensor), layout_.tensor_bytes(tensor)};
}

std::span<const std::byte> KvBuffer::Tensor(int layer, TensorKind tensor) const {
  return {data_ + layout_.offset_bytes(layer, tensor), layout_.tensor_bytes(tensor)};
}

}  // namespace automot::context
