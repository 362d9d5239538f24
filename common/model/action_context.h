// A context as the action expert reads it: per layer, keys and values laid out for its products,
// and the rotary rows of the action tokens that follow the prefix.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/model/context_export.h"
#include "common/model/rotary.h"
#include "common/model/weights.h"

namespace automot::model {

inline constexpr int64_t kMaxPosition = int64_t{1} << 30;

// Where the keys and values of a context lie in host memory. Per layer, contiguous:
// keys `[tokens, kv_heads, key_dim]`, values `[tokens, kv_heads, value_dim]`, `dtype`.
struct ContextBuffers {
  ContextForm form = ContextForm::kCompact;
  at::ScalarType dtype = at::kFloat;
  int64_t tokens = 0;
  int64_t position_start = 0;       // largest prefix position + 1 (spec 3.5)
  std::vector<const void*> keys;    // one per layer
  std::vector<const void*> values;  // one per layer
};

// Immutable, any thread. On the CPU, where the dtype is the model's, it borrows the buffers, which
// must then outlive it; otherwise it owns a copy.
//
// Several contexts may be stacked in one (context_stack.h): of one length, one observation each.
struct ActionContext {
  struct Layer {
    at::Tensor keys;    // [stacked * kv_heads, key_dim, tokens], a transposed view
    at::Tensor values;  // [stacked * kv_heads, tokens, mot_head_dim]
  };
  uint64_t generation = 0;  // of this process; no two contexts that were made share one
  int64_t stacked = 1;
  int64_t tokens = 0;
  int64_t position_start = 0;
  std::vector<Layer> layers;
  RotaryTable rotary;      // one row per action token, anchored (reuse 0); of each stacked one
  at::Tensor prefix_mask;  // [stacked * kv_heads, 1, tokens], additive; undefined: all are seen
  // On a device, all layers in one tensor: [layers, kv_heads, tokens, dim]; else undefined.
  at::Tensor joined_keys, joined_values;
};

// INVALID_ARGUMENT naming what does not fit the model: number of layers, tokens, position, dtype,
// or a null pointer.
absl::StatusOr<ActionContext> MakeActionContext(const ModelGeometry& geometry,
                                                const ModelOptions& options,
                                                const MultiAxisRotary& rotary,
                                                const ContextBuffers& buffers);

}  // namespace automot::model
