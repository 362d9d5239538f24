// The action expert's layers: joint attention over a cached prefix and the expert's own tokens
// (spec 3.3, 3.4), without the reference's padded heads.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/model/action_context.h"
#include "common/model/joint_attention.h"
#include "common/model/packed_linear.h"
#include "common/model/rotary.h"
#include "common/model/transformer_ops.h"
#include "common/model/weights.h"

namespace automot::model {

// Consecutive observations of a batch that attend to one context, or one to each of a stack.
struct ContextUse {
  const ActionContext* context = nullptr;  // borrowed during the call
  int64_t observations = 1;                // per context
  // Times the context was used before, under the reference's drifting positions; 0 is anchored.
  int64_t reuse = 0;

  int64_t batch() const { return context->stacked * observations; }
};

// Immutable after Load: any number of threads may run it.
class ActionExpert {
 public:
  static absl::StatusOr<ActionExpert> Load(WeightSource& reader);

  // embeds: `[batch, tokens, hidden]`, the first `tokens` rows of the expert's sequence: rows never
  // attend to later blocks, so a shorter run gives the same rows. Returns the last `output_rows`
  // rows after the final norm: `[batch, output_rows, hidden]`, model dtype.
  at::Tensor Run(const at::Tensor& embeds, absl::Span<const ContextUse> uses,
                 int64_t output_rows) const;

  // Rotary rows of a context's use, the observations of one context having the same.
  RotaryTable Tables(const ContextUse& use, int64_t tokens) const;
  const MultiAxisRotary& rotary() const { return rotary_; }

 private:
  struct Layer {
    at::Tensor input_norm, post_norm;  // [hidden]
    at::Tensor qk_norm;                // [heads + kv, dim]
    PackedLinear qkv;                  // hidden -> (heads + 2 kv) * dim
    PackedLinear out;                  // heads * dim -> hidden
    SwiGlu mlp;
  };

  ActionExpert(const ModelGeometry& geometry, const ModelOptions& options);
  static absl::StatusOr<Layer> LoadLayer(WeightSource& reader, int64_t index);
  RotaryTable BatchTables(absl::Span<const ContextUse> uses, int64_t tokens) const;
  // heads: of all rows of the batch. Returns `[batch * query_rows, heads * dim]`.
  at::Tensor Attend(const RotatedHeads& heads, absl::Span<const ContextUse> uses, size_t layer,
                    int64_t tokens, int64_t query_rows) const;

  ActionGeometry action_;
  ModelOptions options_;
  MultiAxisRotary rotary_;
  JointAttention attention_;
  at::Tensor final_norm_;
  std::vector<Layer> layers_;
};

}  // namespace automot::model
