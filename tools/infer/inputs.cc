#include "tools/infer/inputs.h"

#include "absl/strings/str_cat.h"
#include "common/checkpoint/safetensors.h"
#include "common/checkpoint/text.h"
#include "common/model/weights.h"
#include "common/status/status_macros.h"
#include "tools/infer/input_names.h"

namespace automot::infer {
namespace {

using model::Concat;
using model::TensorView;

absl::Status ShapeError(const InputName& input, const TensorView& view) {
  const char* const absent =
      input.batch == BatchAxis::kFirst ? " (the first axis may be absent where it is 1)" : "";
  return absl::InvalidArgumentError(Concat(input.name, " has shape ", model::ShapeText(view.shape),
                                           ", must be ", input.axes, absent));
}

absl::Status CheckView(const InputName& input, const TensorView& view) {
  if (view.dtype != input.dtype) {
    return absl::InvalidArgumentError(Concat(input.name, " has dtype ",
                                             model::DTypeName(view.dtype), ", must be ",
                                             model::DTypeName(input.dtype)));
  }
  if (view.bytes.empty() && input.name != "prefix_ids") {
    return absl::InvalidArgumentError(
        Concat(input.name, " has shape ", model::ShapeText(view.shape), ", which holds nothing"));
  }
  return absl::OkStatus();
}

// Adds or drops the batch axis. Fails for another number of axes.
absl::StatusOr<at::Tensor> NormalForm(const InputName& input, const TensorView& view) {
  at::Tensor tensor = model::CopyToTensor(view);
  const auto rank = static_cast<int64_t>(input.rank);
  const bool batched = tensor.dim() == rank + 1;
  if (input.batch == BatchAxis::kFirst) {
    if (batched) return tensor;
    if (tensor.dim() == rank) return tensor.unsqueeze(0);
  } else {
    if (tensor.dim() == rank) return tensor;
    if (batched && tensor.size(0) == 1) return tensor.squeeze(0);
  }
  return ShapeError(input, view);
}

absl::Status CheckFinite(const InputName& input, const at::Tensor& tensor) {
  if (!tensor.is_floating_point() || tensor.isfinite().all().item<bool>()) return absl::OkStatus();
  return absl::InvalidArgumentError(Concat(input.name, " holds NaN or infinity, must be finite"));
}

}  // namespace

absl::StatusOr<Inputs> Inputs::Read(const std::string& path) {
  AUTOMOT_ASSIGN_OR_RETURN(const auto file, model::SafetensorsFile::Open(path));
  Inputs inputs;
  for (const TensorView& view : file->tensors()) {
    const InputName* const input = FindInputName(view.name);
    if (input == nullptr) {
      return absl::InvalidArgumentError(
          Concat(path, ": \"", view.name, "\" is no input; --help lists them"));
    }
    AUTOMOT_RETURN_IF_ERROR(CheckView(*input, view));
    AUTOMOT_ASSIGN_OR_RETURN(at::Tensor tensor, NormalForm(*input, view));
    AUTOMOT_RETURN_IF_ERROR(CheckFinite(*input, tensor));
    inputs.tensors_.emplace(view.name, std::move(tensor));
  }
  return inputs;
}

absl::Status CheckAxes(const std::string& name, const at::Tensor& tensor, at::IntArrayRef wanted,
                       const std::string& axes) {
  bool equal = tensor.dim() == static_cast<int64_t>(wanted.size());
  for (size_t i = 0; equal && i < wanted.size(); ++i) {
    equal = wanted[i] < 0 || wanted[i] == tensor.size(static_cast<int64_t>(i));
  }
  if (equal) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " has shape ", c10::str(tensor.sizes()), ", must be ", axes));
}

}  // namespace automot::infer
