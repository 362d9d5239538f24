#include "common/model/parse_options.h"

#include <ATen/Context.h>
#include <c10/util/Exception.h>

#include "absl/strings/str_cat.h"

namespace automot::model {

absl::StatusOr<ModelOptions> ParseModelOptions(const std::string& dtype,
                                               const std::string& device) {
  ModelOptions parsed;
  if (dtype == "bfloat16") {
    parsed.dtype = at::kBFloat16;
  } else if (dtype != "float32") {
    return absl::InvalidArgumentError(
        absl::StrCat("--dtype is '", dtype, "'; it must be float32 or bfloat16"));
  }
  try {
    parsed.device = at::Device(device);
  } catch (const c10::Error&) {
    parsed.device = at::Device(at::kMeta);
  }
  if (!parsed.device.is_cpu() && !parsed.device.is_cuda()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--device is '", device, "'; it must be cpu, cuda or cuda:N"));
  }
  if (parsed.device.is_cuda() && !at::hasCUDA()) {
    return absl::FailedPreconditionError(
        absl::StrCat("--device is '", device, "', but no CUDA device can be used here"));
  }
  return parsed;
}

}  // namespace automot::model
