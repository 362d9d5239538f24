#include "common/model/weights.h"

#include <malloc.h>

#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"

namespace automot::model {
namespace {

constexpr uint64_t kBytesBetweenTrims = uint64_t{256} << 20;

// Weights that are packed or joined leave holes between those that stay. The allocator would keep
// them: two gigabytes of the published action expert's.
void GiveFreeMemoryBack() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

const char* PartName(ModelPart part) {
  switch (part) {
    case ModelPart::kUnderstanding:
      return "understanding expert";
    case ModelPart::kAction:
      return "action expert";
    case ModelPart::kBev:
      return "BEV encoder";
  }
  return "";
}

uint64_t PartBytes(const Checkpoint& checkpoint, ModelPart part) {
  uint64_t bytes = 0;
  // The action expert's lexicon rows are compared as part of the whole matrix.
  if (part == ModelPart::kAction) bytes = checkpoint.Find(kLmHeadName)->bytes.size();
  for (const TensorView* tensor : checkpoint.tensors()) {
    if (PartOf(tensor->name) == part) bytes += tensor->bytes.size();
  }
  return bytes;
}

}  // namespace

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

WeightReader::WeightReader(const Checkpoint& checkpoint, const ModelOptions& options,
                           ModelPart part)
    : WeightSource(checkpoint.geometry(), options),
      checkpoint_(checkpoint),
      progress_(PartName(part), PartBytes(checkpoint, part)) {}

WeightReader::~WeightReader() { GiveFreeMemoryBack(); }

const TensorView* WeightReader::Find(const std::string& name) {
  const TensorView* view = checkpoint_.Find(name);
  if (view == nullptr && status_.ok()) {
    status_ = absl::NotFoundError(absl::StrCat("the checkpoint has no tensor \"", name, "\""));
  }
  return view;
}

void WeightReader::Read(const TensorView& view,
                        absl::FunctionRef<void(absl::Span<const std::byte>)> sink) {
  const absl::Status read = checkpoint_.Read(view, [&](absl::Span<const std::byte> piece) {
    sink(piece);
    progress_.Add(piece.size());
  });
  status_.Update(read);
  bytes_since_trim_ += view.bytes.size();
  if (bytes_since_trim_ < kBytesBetweenTrims) return;
  bytes_since_trim_ = 0;
  GiveFreeMemoryBack();
}

// target: CPU, contiguous, of the view's shape, in any dtype.
void WeightReader::Fill(const TensorView& view, const at::Tensor& target) {
  const at::Tensor flat = target.view({-1});
  const auto element_bytes = static_cast<int64_t>(DTypeSize(view.dtype));
  const at::ScalarType stored = ToScalarType(view.dtype);
  at::Tensor staging;  // aligned, which the mapping need not be
  int64_t at = 0;
  Read(view, [&](absl::Span<const std::byte> piece) {
    const int64_t count = static_cast<int64_t>(piece.size()) / element_bytes;
    at::Tensor part = flat.narrow(0, at, count);
    at += count;
    if (stored == part.scalar_type()) {
      std::memcpy(part.data_ptr(), piece.data(), piece.size());
      return;
    }
    if (!staging.defined()) staging = at::empty({count}, stored);
    std::memcpy(staging.data_ptr(), piece.data(), piece.size());
    part.copy_(staging.narrow(0, 0, count));
  });
}

at::Tensor WeightReader::Get(const std::string& name) {
  const TensorView* view = Find(name);
  if (view == nullptr) return {};
  at::Tensor tensor = at::empty(view->shape, options_.dtype);
  Fill(*view, tensor);
  return ok() ? tensor.to(options_.device) : at::Tensor();
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
      status_.Update(absl::InvalidArgumentError(absl::StrCat(
          "row ", row, " of tensor \"", name, "\" must be in [0, ", view->shape[0], ")")));
      return {};
    }
    std::memcpy(target, view->bytes.data() + static_cast<size_t>(row) * row_bytes, row_bytes);
    target += row_bytes;
  }
  Read(*view, [](absl::Span<const std::byte>) {});
  return ok() ? tensor.to(options_.device, options_.dtype) : at::Tensor();
}

at::Tensor WeightReader::GetJoined(std::initializer_list<std::string> names) {
  std::vector<const TensorView*> views;
  std::vector<int64_t> shape;
  for (const std::string& name : names) {
    const TensorView* view = Find(name);
    if (view == nullptr) return {};
    views.push_back(view);
    if (shape.empty()) {
      shape = view->shape;
    } else {
      shape[0] += view->shape[0];
    }
  }
  const at::Tensor joined = at::empty(shape, options_.dtype);
  int64_t row = 0;
  for (const TensorView* view : views) {
    Fill(*view, joined.narrow(0, row, view->shape[0]));
    row += view->shape[0];
  }
  return ok() ? joined.to(options_.device) : at::Tensor();
}

}  // namespace automot::model
