#include "tools/train/context_batch.h"

#include <algorithm>
#include <limits>

namespace automot::train {
namespace {

// `[tokens, kv_heads, dim]` -> `[kv_heads, longest, dim]`, zeros behind.
at::Tensor Padded(const at::Tensor& x, int64_t longest) {
  return at::constant_pad_nd(x.permute({1, 0, 2}), {0, 0, 0, longest - x.size(0)});
}

}  // namespace

model::ActionContext StackContexts(const model::ModelGeometry& geometry,
                                   const model::MultiAxisRotary& rotary,
                                   absl::Span<const ContextLayers> contexts) {
  model::ActionContext stack;
  stack.stacked = static_cast<int64_t>(contexts.size());
  for (const ContextLayers& context : contexts) {
    stack.tokens = std::max(stack.tokens, context.tokens);
    stack.position_start = std::max(stack.position_start, context.position_start);
  }
  for (size_t layer = 0; layer < contexts[0].layers.size(); ++layer) {
    std::vector<at::Tensor> keys, values;
    for (const ContextLayers& context : contexts) {
      keys.push_back(Padded(context.layers[layer].keys, stack.tokens));
      values.push_back(Padded(context.layers[layer].values, stack.tokens));
    }
    stack.layers.push_back({at::cat(keys).transpose(1, 2), at::cat(values)});
  }
  const at::TensorOptions options = stack.layers[0].values.options().requires_grad(false);
  const int64_t kv_heads = geometry.action.kv_heads;
  stack.prefix_mask = at::zeros({stack.stacked * kv_heads, 1, stack.tokens}, options);
  std::vector<at::Tensor> cos, sin;
  for (size_t i = 0; i < contexts.size(); ++i) {
    const int64_t own = contexts[i].hidden ? 0 : contexts[i].tokens;
    stack.prefix_mask.narrow(0, static_cast<int64_t>(i) * kv_heads, kv_heads)
        .narrow(2, own, stack.tokens - own)
        .fill_(-std::numeric_limits<float>::infinity());
    const model::RotaryTable table =
        rotary.TextTables(contexts[i].position_start, geometry.action.tokens(), at::kFloat);
    cos.push_back(table.cos);
    sin.push_back(table.signed_sin);
  }
  stack.rotary = {at::cat(cos), at::cat(sin)};
  return stack;
}

}  // namespace automot::train
