// Sizes that no document states: they follow from the shapes of tensors.
#pragma once

#include <functional>
#include <string_view>

#include "absl/status/status.h"
#include "common/checkpoint/geometry.h"
#include "common/checkpoint/safetensors.h"

namespace automot::model {

// Looks a tensor up by canonical name; null when absent.
using TensorLookup = std::function<const TensorView*(std::string_view)>;

// Fills in geometry.action and the trunks of geometry.bev; geometry.text and the grids of
// geometry.bev must be there. INVALID_ARGUMENT naming the first tensor that is missing or
// misshapen; even then every size is set, from another tensor or to the published value, so that
// all tensors can be compared.
absl::Status ReadShapes(const TensorLookup& find, ModelGeometry& geometry);

}  // namespace automot::model
