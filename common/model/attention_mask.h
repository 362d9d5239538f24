// Masks as tensors: boolean (true = may attend) and additive (0 or minus infinity).
#pragma once

#include <ATen/ATen.h>

#include "absl/types/span.h"
#include "common/model/prompt_sequence.h"

namespace automot::model {

// `[tokens, tokens]`, bool, CPU: row attends column (spec 2.4).
at::Tensor AllowedBySpans(absl::Span<const AttentionSpan> spans);

// `[rows, before + rows]`, bool, CPU: rows see the `before` tokens and, causally, themselves.
at::Tensor AllowedContinuation(int64_t before, int64_t rows);

// `[tokens, tokens]`, bool, CPU, for the action expert's own tokens: full within each block, all
// earlier blocks, no later one (spec 3.3).
at::Tensor AllowedByBlocks(absl::Span<const int64_t> block_lengths);

// `[1, rows * group, columns]`, dtype of `options`: the additive mask of grouped queries, each row
// repeated `group` times.
at::Tensor GroupedAdditiveMask(const at::Tensor& allowed, int64_t group,
                               const at::TensorOptions& options);

}  // namespace automot::model
