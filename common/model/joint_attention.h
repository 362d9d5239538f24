// One layer's attention of the action expert's tokens over a context's prefix and themselves
// (spec 3.4).
#pragma once

#include <ATen/ATen.h>

#include "common/checkpoint/geometry.h"
#include "common/model/action_context.h"
#include "common/model/transformer_ops.h"

namespace automot::model {

// Rows [tokens - count, tokens) of each observation: `[batch * tokens, ...]` -> `[batch * count,
// ...]`.
at::Tensor LastRows(const at::Tensor& x, int64_t tokens, int64_t count);

struct JointAttention {
  ActionGeometry action;
  at::Tensor own_mask;  // [1, tokens * group, tokens], additive
  double scale = 1;

  // heads: of `batch * tokens` rows, where the batch is `context.stacked` runs of equally many
  // observations, one run per stacked context. Returns the last `query_rows` rows of each
  // observation: `[batch * query_rows, heads * dim]`.
  at::Tensor operator()(const RotatedHeads& heads, const ActionContext& context, size_t layer,
                        int64_t batch, int64_t query_rows) const;
};

}  // namespace automot::model
