// The frozen or trained understanding expert's contexts for a batch, as the action expert reads
// them.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/checkpoint/geometry.h"
#include "common/model/action_context.h"
#include "common/model/context_export.h"
#include "common/model/rotary.h"

namespace automot::train {

// Keys and values of one context, compact, of all layers.
struct ContextLayers {
  int64_t tokens = 0;
  int64_t position_start = 0;
  bool hidden = false;  // the action expert sees nothing of it, and plans at its positions
  std::vector<model::LayerKeysValues> layers;
};

// Stacks contexts of any lengths, one observation each: padded to the longest, the padding hidden.
// Keeps gradients of the keys and values.
model::ActionContext StackContexts(const model::ModelGeometry& geometry,
                                   const model::MultiAxisRotary& rotary,
                                   absl::Span<const ContextLayers> contexts);

}  // namespace automot::train
