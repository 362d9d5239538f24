// Contexts of several vehicles in one stretch of memory that never moves, each padded to one
// length: what a CUDA graph, which remembers addresses and shapes, can read.
#pragma once

#include "absl/status/status.h"
#include "common/model/action_context.h"

namespace automot::model {

// One thread.
class ContextStack {
 public:
  ContextStack(const ModelGeometry& geometry, const ModelOptions& options, int64_t slots,
               int64_t tokens);

  // Copies `context` into a slot and hides the rest of it. rotary: of the action tokens. Waits for
  // nothing. INVALID_ARGUMENT for a slot that is not there or a context that is too long.
  absl::Status Put(int64_t slot, const ActionContext& context, const RotaryTable& rotary);

  // All slots, one observation each; the same tensors for ever.
  const ActionContext& context() const { return context_; }

 private:
  const int64_t slots_, tokens_, kv_heads_, action_tokens_;
  at::Tensor keys_;    // [layers, slots, kv_heads, tokens, key_dim]
  at::Tensor values_;  // [layers, slots, kv_heads, tokens, mot_head_dim]
  ActionContext context_;
};

}  // namespace automot::model
