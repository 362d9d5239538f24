#include "tools/train/parameters.h"

#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/checkpoint/layout.h"
#include "common/status/status_macros.h"

namespace automot::train {
namespace {

// Stored for other programs; no module runs them.
bool IsUnused(std::string_view name) {
  return name.ends_with("num_batches_tracked") || name.ends_with("_head.query") ||
         name.starts_with("bev_encoder.c5_conv.") || name.starts_with("bev_encoder.up_conv");
}

absl::StatusOr<at::Tensor> ReadWhole(const model::Checkpoint& checkpoint,
                                     const model::TensorView& view) {
  at::Tensor stored =
      at::empty(view.shape, at::TensorOptions().dtype(model::ToScalarType(view.dtype)));
  auto* target = static_cast<std::byte*>(stored.data_ptr());
  AUTOMOT_RETURN_IF_ERROR(checkpoint.Read(view, [&](absl::Span<const std::byte> piece) {
    std::memcpy(target, piece.data(), piece.size());
    target += piece.size();
  }));
  return model::IsFloatingPoint(view.dtype) ? stored.to(at::kFloat) : stored;
}

}  // namespace

absl::StatusOr<Parameters> Parameters::Load(const model::Checkpoint& checkpoint,
                                            at::Device device) {
  Parameters parameters(checkpoint.geometry(), device);
  for (const model::TensorView* view : checkpoint.tensors()) {
    AUTOMOT_ASSIGN_OR_RETURN(const at::Tensor tensor, ReadWhole(checkpoint, *view));
    parameters.tensors_[view->name] = tensor.to(device);
  }
  return parameters;
}

void Parameters::Train(const std::function<bool(std::string_view name)>& trained) {
  for (auto& [name, tensor] : tensors_) {
    if (at::isFloatingType(tensor.scalar_type())) tensor.set_requires_grad(trained(name));
  }
}

std::vector<std::string> Parameters::trained() const {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors_) {
    if (tensor.requires_grad()) names.push_back(name);
  }
  return names;
}

bool IsUnderstandingWeight(std::string_view name) {
  return model::PartOf(name) == model::ModelPart::kUnderstanding && !IsUnused(name);
}

bool IsActionWeight(std::string_view name) {
  return model::PartOf(name) != model::ModelPart::kUnderstanding && !IsUnused(name) &&
         !IsStatistic(name);
}

bool IsStatistic(std::string_view name) {
  return name.ends_with(".running_mean") || name.ends_with(".running_var");
}

ParameterSource::ParameterSource(const Parameters& parameters, bool batch_statistics)
    : WeightSource(parameters.geometry(), {.dtype = at::kFloat, .device = parameters.device()}),
      parameters_(parameters),
      batch_statistics_(batch_statistics) {}

at::Tensor ParameterSource::Get(const std::string& name) {
  const auto it = parameters_.tensors().find(name);
  if (it != parameters_.tensors().end()) return it->second;
  status_.Update(absl::NotFoundError(absl::StrCat("there is no parameter \"", name, "\"")));
  return {};
}

at::Tensor ParameterSource::GetJoined(std::initializer_list<std::string> names) {
  std::vector<at::Tensor> parts;
  for (const std::string& name : names) parts.push_back(Get(name));
  return ok() ? at::cat(parts) : at::Tensor();
}

at::Tensor ParameterSource::GetRows(const std::string& name, absl::Span<const int64_t> rows) {
  const at::Tensor matrix = Get(name);
  if (!ok()) return {};
  const at::Tensor index = at::tensor(at::ArrayRef<int64_t>(rows.data(), rows.size()), at::kLong);
  return matrix.index_select(0, index.to(matrix.device()));
}

}  // namespace automot::train
