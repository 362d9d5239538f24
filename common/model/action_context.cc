#include "common/model/action_context.h"

#include <atomic>

#include "absl/strings/str_cat.h"
#include "common/model/prompt_sequence.h"
#include "common/status/status_macros.h"

namespace automot::model {
namespace {

absl::Status CheckRange(const char* field, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("context ", field, " is ", value, ", must be in [", low, ", ", high, "]"));
}

absl::Status CheckBuffers(const ModelGeometry& geometry, const ContextBuffers& buffers) {
  AUTOMOT_RETURN_IF_ERROR(CheckRange("tokens", buffers.tokens, 1, kMaxSequenceTokens));
  AUTOMOT_RETURN_IF_ERROR(CheckRange("position_start", buffers.position_start, 0, kMaxPosition));
  if (buffers.dtype != at::kFloat && buffers.dtype != at::kBFloat16) {
    return absl::InvalidArgumentError(absl::StrCat(
        "context dtype is ", c10::toString(buffers.dtype), ", must be Float or BFloat16"));
  }
  const size_t layers = static_cast<size_t>(geometry.action.layers);
  if (buffers.keys.size() != layers || buffers.values.size() != layers) {
    return absl::InvalidArgumentError(absl::StrCat("context has ", buffers.keys.size(),
                                                   " keys and ", buffers.values.size(),
                                                   " values, the model has ", layers, " layers"));
  }
  for (size_t i = 0; i < layers; ++i) {
    if (buffers.keys[i] == nullptr || buffers.values[i] == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("context layer ", i, " has no buffer"));
    }
  }
  return absl::OkStatus();
}

uint64_t NextGeneration() {
  static std::atomic<uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

// A tensor over host memory in the model's dtype; a view where nothing changes.
at::Tensor Wrap(const void* data, at::IntArrayRef shape, at::ScalarType dtype,
                const ModelOptions& options) {
  // from_blob wants a mutable pointer; the tensor is only read.
  return at::from_blob(const_cast<void*>(data), shape, at::TensorOptions().dtype(dtype))
      .to(options.dtype);
}

// All layers in one upload through pinned memory.
at::Tensor Upload(const std::vector<at::Tensor>& layers, const at::Device& device) {
  std::vector<int64_t> shape = layers[0].sizes().vec();
  shape.insert(shape.begin(), static_cast<int64_t>(layers.size()));
  const at::Tensor pinned = at::empty(shape, layers[0].options().pinned_memory(true));
  for (size_t i = 0; i < layers.size(); ++i) pinned[static_cast<int64_t>(i)].copy_(layers[i]);
  return pinned.to(device);
}

// Moves a context that was laid out in host memory to where the model is.
void MoveToDevice(ActionContext& context, const at::Device& device) {
  std::vector<at::Tensor> keys, values;
  for (const ActionContext::Layer& layer : context.layers) {
    keys.push_back(layer.keys.transpose(1, 2));
    values.push_back(layer.values);
  }
  context.joined_keys = Upload(keys, device);
  context.joined_values = Upload(values, device);
  for (size_t i = 0; i < context.layers.size(); ++i) {
    const auto layer = static_cast<int64_t>(i);
    context.layers[i] = {context.joined_keys[layer].transpose(1, 2), context.joined_values[layer]};
  }
}

}  // namespace

absl::StatusOr<ActionContext> MakeActionContext(const ModelGeometry& geometry,
                                                const ModelOptions& options,
                                                const MultiAxisRotary& rotary,
                                                const ContextBuffers& buffers) {
  AUTOMOT_RETURN_IF_ERROR(CheckBuffers(geometry, buffers));
  const ContextDims stored = DimsOf(geometry, buffers.form);
  const ContextDims read = DimsOf(geometry, ContextForm::kCompact);
  ActionContext context;
  context.tokens = buffers.tokens;
  context.position_start = buffers.position_start;
  context.generation = NextGeneration();
  for (size_t i = 0; i < buffers.keys.size(); ++i) {
    const at::Tensor keys = Wrap(buffers.keys[i], {buffers.tokens, stored.kv_heads, stored.key_dim},
                                 buffers.dtype, options);
    const at::Tensor values =
        Wrap(buffers.values[i], {buffers.tokens, stored.kv_heads, stored.value_dim}, buffers.dtype,
             options);
    const LayerKeysValues layer = SelectForm(keys, values, read);
    context.layers.push_back({layer.keys.permute({1, 2, 0}), layer.values.permute({1, 0, 2})});
  }
  if (!options.device.is_cpu()) MoveToDevice(context, options.device);
  context.rotary =
      rotary.TextTables(buffers.position_start, geometry.action.tokens(), options.dtype);
  return context;
}

}  // namespace automot::model
