// Compares the tensors that a checkpoint stores with those that its geometry asks for.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "common/checkpoint/derive_geometry.h"
#include "common/checkpoint/geometry.h"
#include "common/checkpoint/safetensors.h"

namespace automot::model {

// INVALID_ARGUMENT with one line for each missing, unexpected, mis-shaped or mistyped tensor.
// `geometry` need not satisfy ValidateGeometry.
absl::Status CheckTensors(const ModelGeometry& geometry,
                          const std::vector<const TensorView*>& tensors, const TensorLookup& find);

}  // namespace automot::model
