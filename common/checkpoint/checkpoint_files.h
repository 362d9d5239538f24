// The tensor files of a checkpoint directory, and the names that its tensors go by.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/checkpoint/safetensors.h"

namespace automot::model {

using TensorFiles = std::vector<std::unique_ptr<SafetensorsFile>>;

// model.safetensors, or the shards that model.safetensors.index.json names. NOT_FOUND for a missing
// file, INVALID_ARGUMENT for an index that contradicts the shards.
absl::StatusOr<TensorFiles> OpenBaseFiles(const std::string& directory);

// ema.safetensors. NOT_FOUND where there is none.
absl::StatusOr<std::unique_ptr<SafetensorsFile>> OpenEmaFile(const std::string& directory);

// The published loader accepts the BEV encoder under three prefixes; `bev_encoder.` is canonical.
std::string CanonicalName(std::string_view name);

}  // namespace automot::model
