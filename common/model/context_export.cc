#include "common/model/context_export.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/status/status_macros.h"

namespace automot::model {
namespace {

absl::Status CopyTensor(absl::string_view field, const at::Tensor& source, at::ScalarType dtype,
                        absl::Span<std::byte> target) {
  const size_t wanted = static_cast<size_t>(source.numel()) * c10::elementSize(dtype);
  if (target.size() != wanted) {
    return absl::InvalidArgumentError(absl::StrCat(field, ": the buffer holds ", target.size(),
                                                   " bytes, the layer has ", wanted));
  }
  at::from_blob(target.data(), source.sizes(), at::TensorOptions().dtype(dtype)).copy_(source);
  return absl::OkStatus();
}

}  // namespace

ContextDims DimsOf(const ModelGeometry& geometry, ContextForm form) {
  const TextGeometry& text = geometry.text;
  if (form == ContextForm::kFull) {
    return {text.layers, text.kv_heads, text.head_dim, text.head_dim};
  }
  return {text.layers, geometry.action.kv_heads, text.head_dim, geometry.action.head_dim};
}

LayerKeysValues SelectForm(const at::Tensor& keys, const at::Tensor& values,
                           const ContextDims& dims) {
  return {keys.narrow(1, 0, dims.kv_heads).narrow(2, 0, dims.key_dim),
          values.narrow(1, 0, dims.kv_heads).narrow(2, 0, dims.value_dim)};
}

absl::Status CopyLayer(const LayerKeysValues& layer, at::ScalarType dtype,
                       absl::Span<std::byte> keys, absl::Span<std::byte> values) {
  AUTOMOT_RETURN_IF_ERROR(CopyTensor("keys", layer.keys, dtype, keys));
  return CopyTensor("values", layer.values, dtype, values);
}

}  // namespace automot::model
