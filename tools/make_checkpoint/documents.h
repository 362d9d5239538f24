// The JSON documents beside the tensors of a generated checkpoint.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "common/checkpoint/geometry.h"

namespace automot::model {

// File name -> content: config.json, bev_config.json, preprocessor_config.json, tokenizer.json,
// tokenizer_config.json, automot_dims.json.
absl::StatusOr<std::map<std::string, std::string>> MakeDocuments(const ModelGeometry& geometry,
                                                                 bool bfloat16);

}  // namespace automot::model
