// From the files of a checkpoint to its ModelGeometry.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/checkpoint/derive_shapes.h"
#include "common/checkpoint/geometry.h"
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

// The same documents as text.
struct SideTexts {
  std::string config, bev_config, preprocessor_config, tokenizer;
  std::optional<std::string> dims;
};

// INVALID_ARGUMENT naming the document that is not JSON or nests without end.
absl::StatusOr<SideFiles> ParseSideFiles(const SideTexts& texts);

// Reads config.json, bev_config.json, preprocessor_config.json, tokenizer.json and, where present,
// automot_dims.json.
absl::StatusOr<SideFiles> ReadSideFiles(const std::string& directory);

struct DerivedGeometry {
  ModelGeometry geometry;
  // OK, or why the sizes cannot be used: a tensor that tells one is missing or misshapen (its place
  // is taken by another tensor or by the published value, so that the rest can still be compared),
  // a document contradicts the shapes, or a relation is broken.
  absl::Status sizes;
};

// What config.json and bev_config.json state is taken from them, the rest from tensor shapes.
// INVALID_ARGUMENT for a document with a missing or out-of-range value, or a variant that this
// implementation does not compute.
absl::StatusOr<DerivedGeometry> DeriveGeometry(const SideFiles& files, const TensorLookup& find);

// Fills in the frame size after Qwen's size rule. INVALID_ARGUMENT where the rule refuses.
absl::Status ApplySizeRule(ModelGeometry& geometry);

// The relations between sizes that the networks rely on (divisibility, equal groups, grids). Called
// by DeriveGeometry.
absl::Status ValidateGeometry(const ModelGeometry& geometry);

}  // namespace automot::model
