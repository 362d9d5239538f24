#include "common/model/weights.h"

#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"

namespace automot::model {

absl::Status ValidateOptions(const ModelOptions& options) {
  if (options.dtype == at::kFloat || options.dtype == at::kBFloat16) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("dtype is ", c10::toString(options.dtype), ", must be Float or BFloat16"));
}

at::ScalarType ToScalarType(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return at::kFloat;
    case DType::kF16:
      return at::kHalf;
    case DType::kBF16:
      return at::kBFloat16;
    case DType::kF64:
      return at::kDouble;
    case DType::kI64:
      return at::kLong;
    case DType::kI32:
      return at::kInt;
    case DType::kI16:
      return at::kShort;
    case DType::kI8:
      return at::kChar;
    case DType::kU8:
      return at::kByte;
    case DType::kBool:
      return at::kBool;
  }
  return at::kFloat;
}

at::Tensor CopyToTensor(const TensorView& view) {
  at::Tensor tensor = at::empty(view.shape, at::TensorOptions().dtype(ToScalarType(view.dtype)));
  if (!view.bytes.empty()) std::memcpy(tensor.data_ptr(), view.bytes.data(), view.bytes.size());
  return tensor;
}

const TensorView* WeightReader::Find(const std::string& name) {
  const TensorView* view = checkpoint_.Find(name);
  if (view == nullptr && status_.ok()) {
    status_ = absl::NotFoundError(absl::StrCat("the checkpoint has no tensor \"", name, "\""));
  }
  return view;
}

at::Tensor WeightReader::Get(const std::string& name) {
  const TensorView* view = Find(name);
  if (view == nullptr) return {};
  return CopyToTensor(*view).to(options_.device, options_.dtype);
}

at::Tensor WeightReader::GetRows(const std::string& name, absl::Span<const int64_t> rows) {
  const TensorView* view = Find(name);
  if (view == nullptr) return {};
  const size_t row_bytes = view->bytes.size() / static_cast<size_t>(view->shape[0]);
  at::Tensor tensor = at::empty({static_cast<int64_t>(rows.size()), view->shape[1]},
                                at::TensorOptions().dtype(ToScalarType(view->dtype)));
  std::byte* target = static_cast<std::byte*>(tensor.data_ptr());
  for (const int64_t row : rows) {
    if (row < 0 || row >= view->shape[0]) {
      status_ = absl::InvalidArgumentError(absl::StrCat("row ", row, " of tensor \"", name,
                                                        "\" must be in [0, ", view->shape[0], ")"));
      return {};
    }
    std::memcpy(target, view->bytes.data() + static_cast<size_t>(row) * row_bytes, row_bytes);
    target += row_bytes;
  }
  return tensor.to(options_.device, options_.dtype);
}

at::Tensor WeightReader::GetJoined(std::initializer_list<std::string> names) {
  std::vector<at::Tensor> parts;
  for (const std::string& name : names) parts.push_back(Get(name));
  return status_.ok() ? at::cat(parts) : at::Tensor();
}

}  // namespace automot::model
