#include "common/model/context_stack.h"

#include <limits>

#include "absl/strings/str_cat.h"

namespace automot::model {
namespace {

// keys, values: `[layers, kv_heads, tokens, dim]`. Two copies where the context's layers lie
// together, as on a device.
void CopyLayers(const ActionContext& context, at::Tensor keys, at::Tensor values) {
  if (context.joined_keys.defined()) {
    keys.copy_(context.joined_keys, /*non_blocking=*/true);
    values.copy_(context.joined_values, /*non_blocking=*/true);
    return;
  }
  for (size_t i = 0; i < context.layers.size(); ++i) {
    const auto layer = static_cast<int64_t>(i);
    keys[layer].copy_(context.layers[i].keys.transpose(1, 2), true);
    values[layer].copy_(context.layers[i].values, true);
  }
}

}  // namespace

ContextStack::ContextStack(const ModelGeometry& geometry, const ModelOptions& options,
                           int64_t slots, int64_t tokens)
    : slots_(slots),
      tokens_(tokens),
      kv_heads_(geometry.action.kv_heads),
      action_tokens_(geometry.action.tokens()) {
  const ContextDims dims = DimsOf(geometry, ContextForm::kCompact);
  const auto place = at::TensorOptions().dtype(options.dtype).device(options.device);
  keys_ = at::zeros({dims.layers, slots, dims.kv_heads, tokens, dims.key_dim}, place);
  values_ = at::zeros({dims.layers, slots, dims.kv_heads, tokens, dims.value_dim}, place);
  context_.tokens = tokens;
  context_.stacked = slots;
  for (int64_t i = 0; i < dims.layers; ++i) {
    context_.layers.push_back({keys_[i].flatten(0, 1).transpose(1, 2), values_[i].flatten(0, 1)});
  }
  // Rows of all slots, as a batch's rotary table.
  context_.rotary.cos = at::zeros({slots * action_tokens_, 1, dims.key_dim}, place);
  context_.rotary.signed_sin = at::zeros({slots * action_tokens_, 1, dims.key_dim}, place);
  context_.prefix_mask = at::zeros({slots * dims.kv_heads, 1, tokens}, place);
}

absl::Status ContextStack::Put(int64_t slot, const ActionContext& context,
                               const RotaryTable& rotary) {
  if (slot < 0 || slot >= slots_) {
    return absl::InvalidArgumentError(absl::StrCat("slot ", slot, " must be in [0, ", slots_, ")"));
  }
  if (context.tokens > tokens_) {
    return absl::InvalidArgumentError(
        absl::StrCat("context of ", context.tokens, " tokens, the slot holds ", tokens_));
  }
  CopyLayers(context, keys_.select(1, slot).narrow(2, 0, context.tokens),
             values_.select(1, slot).narrow(2, 0, context.tokens));
  const auto rows = [&](const at::Tensor& table) {
    return table.narrow(0, slot * action_tokens_, action_tokens_);
  };
  rows(context_.rotary.cos).copy_(rotary.cos, true);
  rows(context_.rotary.signed_sin).copy_(rotary.signed_sin, true);
  at::Tensor mask = context_.prefix_mask.narrow(0, slot * kv_heads_, kv_heads_);
  mask.narrow(2, 0, context.tokens).zero_();
  mask.narrow(2, context.tokens, tokens_ - context.tokens)
      .fill_(-std::numeric_limits<float>::infinity());
  return absl::OkStatus();
}

}  // namespace automot::model
