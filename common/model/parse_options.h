// --dtype and --device as the programs take them.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/model/weights.h"

namespace automot::model {

// dtype: float32 | bfloat16. device: cpu | cuda | cuda:N. INVALID_ARGUMENT naming flag, value and
// choices; FAILED_PRECONDITION for a device that this build or machine does not have.
absl::StatusOr<ModelOptions> ParseModelOptions(const std::string& dtype, const std::string& device);

}  // namespace automot::model
