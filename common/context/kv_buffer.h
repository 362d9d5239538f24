// Memory for the keys and values of one context snapshot.
//
// KvBuffer is a movable owner of one aligned allocation, read and written through per-tensor spans.
// It is filled by one thread and then frozen inside a shared_ptr<const ContextSnapshot>; const
// access is safe from any number of threads. Where the bytes come from (pool, heap, mapped region)
// is hidden behind the owner, which is released when the KvBuffer dies, on whatever thread that
// happens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/context/context_layout.h"
#include "common/context/memory_region.h"

namespace automot::context {

class KvBuffer {
 public:
  KvBuffer() = default;
  KvBuffer(KvBuffer&&) = default;
  KvBuffer& operator=(KvBuffer&&) = default;
  KvBuffer(const KvBuffer&) = delete;
  KvBuffer& operator=(const KvBuffer&) = delete;

  // Adopts `memory` (at least layout.total_bytes(), aligned to 64 bytes), kept alive by `owner`.
  // INVALID_ARGUMENT if the layout is invalid, the memory too small or misaligned.
  static absl::StatusOr<KvBuffer> Adopt(const ContextLayout& layout, std::span<std::byte> memory,
                                        std::shared_ptr<void> owner);
  // Adopt for memory that other processes can map: `place` says where it lies.
  static absl::StatusOr<KvBuffer> AdoptRegion(const ContextLayout& layout,
                                              std::span<std::byte> memory,
                                              std::shared_ptr<void> owner,
                                              std::shared_ptr<const RegionPlace> place);
  // Zero-filled heap memory outside any pool: for tests and tools. RESOURCE_EXHAUSTED without
  // memory.
  static absl::StatusOr<KvBuffer> Allocate(const ContextLayout& layout);

  bool empty() const { return data_ == nullptr; }
  const ContextLayout& layout() const { return layout_; }

  // One tensor of one layer: K `[tokens, kv_heads, k_head_dim]` or V `[tokens, kv_heads,
  // v_head_dim]`, layout().element_type, CPU, contiguous, 64-byte aligned, valid while this buffer
  // lives. Requires 0 <= layer < layout().layers and !empty().
  std::span<std::byte> Tensor(int layer, TensorKind tensor);
  std::span<const std::byte> Tensor(int layer, TensorKind tensor) const;

  // Where other processes find these bytes; null for private memory.
  const RegionPlace* place() const { return place_.get(); }

  // The whole allocation, padding included: layout().total_bytes().
  std::span<const std::byte> bytes() const { return {data_, empty() ? 0 : layout_.total_bytes()}; }

 private:
  KvBuffer(const ContextLayout& layout, std::byte* data, std::shared_ptr<void> owner)
      : layout_(layout), data_(data), owner_(std::move(owner)) {}

  ContextLayout layout_;
  std::byte* data_ = nullptr;  // into owner_
  std::shared_ptr<void> owner_;
  std::shared_ptr<const RegionPlace> place_;
};

}  // namespace automot::context
