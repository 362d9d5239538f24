// One or more contexts as the action expert takes them.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "common/model/context_export.h"

namespace automot::infer {

// CPU, contiguous, float32 or bfloat16; all contexts have equally many tokens.
struct Contexts {
  model::ContextForm form = model::ContextForm::kFull;
  at::Tensor keys;                       // [contexts, layers, tokens, kv_heads, key_dim]
  at::Tensor values;                     // [contexts, layers, tokens, kv_heads, value_dim]
  std::vector<int64_t> position_starts;  // one per context
};

}  // namespace automot::infer
