// From the files of a checkpoint to its ModelGeometry.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/checkpoint/geometry.h"
#include "common/checkpoint/safetensors.h"
#include "nlohmann/json.hpp"

namespace automot::model {

// The documents beside the tensors. `dims` is an empty object where automot_dims.json is absent.
struct SideFiles {
  nlohmann::json config;
  nlohmann::json bev_config;
  nlohmann::json preprocessor_config;
  nlohmann::json dims;
  std::map<std::string, int64_t> added_tokens;  // of tokenizer.json
  std::string digest_input;                     // all of them, as found, for the revision
};

// Reads config.json, bev_config.json, preprocessor_config.json, tokenizer.json and, where present,
// automot_dims.json.
absl::StatusOr<SideFiles> ReadSideFiles(const std::string& directory);

// Looks a tensor up by canonical name; null when absent.
using TensorLookup = std::function<const TensorView*(std::string_view)>;

// What config.json and bev_config.json state is taken from them, the rest from tensor shapes.
// INVALID_ARGUMENT for a missing, out-of-range or contradictory size, or a variant that this
// implementation does not compute.
absl::StatusOr<ModelGeometry> DeriveGeometry(const SideFiles& files, const TensorLookup& find);

// The relations between sizes that the networks rely on (divisibility, equal groups, grids). Called
// by DeriveGeometry.
absl::Status ValidateGeometry(const ModelGeometry& geometry);

}  // namespace automot::model
