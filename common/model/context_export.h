// What of the understanding expert's keys and values leaves it, and how it lies in memory (spec
// fact 0.3): compact holds what the action expert reads, full holds everything.
#pragma once

#include <ATen/ATen.h>

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/checkpoint/geometry.h"

namespace automot::model {

enum class ContextForm : uint8_t { kCompact, kFull };

// Sizes of one context besides its number of tokens.
struct ContextDims {
  int64_t layers = 0;
  int64_t kv_heads = 0;
  int64_t key_dim = 0;
  int64_t value_dim = 0;
  friend bool operator==(const ContextDims&, const ContextDims&) = default;
};

ContextDims DimsOf(const ModelGeometry& geometry, ContextForm form);

// keys: `[tokens, kv_heads, key_dim]`; values: `[tokens, kv_heads, value_dim]`.
struct LayerKeysValues {
  at::Tensor keys;
  at::Tensor values;
};

// Views of what `form` keeps of a layer's full keys and values, both `[tokens, kv_heads,
// head_dim]`.
LayerKeysValues SelectForm(const at::Tensor& keys, const at::Tensor& values,
                           const ContextDims& dims);

// Writes a layer contiguously as `dtype` (kFloat or kBFloat16) into two buffers of host memory.
// INVALID_ARGUMENT when a buffer's size differs from the tensor's.
absl::Status CopyLayer(const LayerKeysValues& layer, at::ScalarType dtype,
                       absl::Span<std::byte> keys, absl::Span<std::byte> values);

}  // namespace automot::model
