// The stages of the planning path: BEV encoder and action expert (spec 3, 5.1).
#pragma once

#include <ATen/ATen.h>

#include "absl/status/statusor.h"
#include "common/checkpoint/checkpoint.h"
#include "common/tokenizer/tokenizer.h"
#include "tools/infer/contexts.h"
#include "tools/infer/inputs.h"
#include "tools/infer/outputs.h"
#include "tools/infer/stage_plan.h"

namespace automot::infer {

// Encodes camera and LiDAR, adds `bev_feature`, and returns it: `[batch, channels, rows, cols]`.
absl::StatusOr<at::Tensor> RunBevEncoder(const model::Checkpoint& checkpoint,
                                         const InferOptions& options, BevSource source,
                                         const Inputs& inputs, Outputs& outputs);

// The contexts of k_cache, v_cache and position_start. INVALID_ARGUMENT naming what does not fit.
absl::StatusOr<Contexts> ReadContexts(const model::ModelGeometry& geometry, const Inputs& inputs);

// Runs the action expert on every observation: one context serves all, or each has its own.
absl::Status RunActionExpert(const model::Checkpoint& checkpoint, const model::Tokenizer& tokenizer,
                             const InferOptions& options, const at::Tensor& bev_feature,
                             const Contexts& contexts, const Inputs& inputs, Outputs& outputs);

}  // namespace automot::infer
