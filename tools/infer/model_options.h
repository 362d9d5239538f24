// The model's arithmetic and place from the command line's.
#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/model/weights.h"
#include "tools/infer/infer_options.h"

namespace automot::infer {

// INVALID_ARGUMENT for a device that LibTorch does not know.
inline absl::StatusOr<model::ModelOptions> ModelOptionsOf(const InferOptions& options) {
  model::ModelOptions parsed;
  parsed.dtype = options.bfloat16 ? at::kBFloat16 : at::kFloat;
  try {
    parsed.device = at::Device(options.device);
  } catch (const c10::Error&) {
    return absl::InvalidArgumentError(
        absl::StrCat("--device is '", options.device, "'; it must be cpu, cuda or cuda:N"));
  }
  return parsed;
}

}  // namespace automot::infer
