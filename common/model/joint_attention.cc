#include "common/model/joint_attention.h"

#include <c10/core/GradMode.h>

namespace automot::model {
namespace {

// The operands of a layer's scores. products = batch * kv_heads, shared = stacked * kv_heads.
struct ScoreInputs {
  at::Tensor q;                      // [shared, rows of the stacked context, width]
  at::Tensor prefix_keys;            // [shared, width, past]
  at::Tensor prefix_mask;            // [shared, 1, past], or undefined
  at::Tensor own_q, own_keys, mask;  // [products, rows, dim], [products, dim, tokens], [1, ...]
  double scale = 1;
};

// `[products, rows, past + tokens]`, written in place: one buffer, no copy.
at::Tensor ScoresInPlace(const ScoreInputs& in) {
  const int64_t past = in.prefix_keys.size(2), tokens = in.own_keys.size(2);
  at::Tensor scores =
      at::empty({in.own_q.size(0), in.own_q.size(1), past + tokens}, in.q.options());
  at::Tensor to_prefix = scores.view({in.q.size(0), -1, past + tokens}).narrow(2, 0, past);
  at::Tensor to_own = scores.narrow(2, past, tokens);
  if (in.prefix_mask.defined()) {
    at::baddbmm_out(to_prefix, in.prefix_mask.expand(to_prefix.sizes()), in.q, in.prefix_keys, 1,
                    in.scale);
  } else {
    to_prefix.baddbmm_(in.q, in.prefix_keys, /*beta=*/0, in.scale);
  }
  at::baddbmm_out(to_own, in.mask.expand(to_own.sizes()), in.own_q, in.own_keys, 1, in.scale);
  return scores;
}

// The same for automatic differentiation, which takes no operator that writes where it is told.
at::Tensor DifferentiableScores(const ScoreInputs& in) {
  const at::Tensor none = at::zeros({1, 1, 1}, in.q.options());
  const at::Tensor to_prefix = at::baddbmm(in.prefix_mask.defined() ? in.prefix_mask : none, in.q,
                                           in.prefix_keys, 1, in.scale);
  const at::Tensor to_own = at::baddbmm(in.mask, in.own_q, in.own_keys, 1, in.scale);
  return at::cat({to_prefix.view({to_own.size(0), to_own.size(1), -1}), to_own}, 2);
}

// `[stacked * n, heads, width]` -> `[stacked * kv_heads, n * group, width]`, group innermost,
// contiguous (reshape alone gives a strided view where group is 1).
at::Tensor GroupByKeyHead(const at::Tensor& x, int64_t stacked, int64_t kv_heads) {
  const int64_t rows = x.size(0) / stacked, group = x.size(1) / kv_heads;
  return x.view({stacked, rows, kv_heads, group, x.size(2)})
      .permute({0, 2, 1, 3, 4})
      .reshape({stacked * kv_heads, rows * group, x.size(2)})
      .contiguous();
}

// The inverse, flattened: -> `[stacked * n, heads * width]`.
at::Tensor UngroupByKeyHead(const at::Tensor& x, int64_t stacked, int64_t kv_heads, int64_t group) {
  const int64_t rows = x.size(1) / group;
  return x.view({stacked, kv_heads, rows, group, x.size(2)})
      .permute({0, 2, 1, 3, 4})
      .reshape({stacked * rows, kv_heads * group * x.size(2)});
}

}  // namespace

at::Tensor LastRows(const at::Tensor& x, int64_t tokens, int64_t count) {
  if (count == tokens) return x;
  return x.unflatten(0, {-1, tokens}).narrow(1, tokens - count, count).flatten(0, 1);
}

at::Tensor JointAttention::operator()(const RotatedHeads& heads, const ActionContext& context,
                                      size_t layer, int64_t batch, int64_t query_rows) const {
  const ActionContext::Layer& prefix = context.layers[layer];
  const int64_t kv_heads = action.kv_heads, dim = action.head_dim;
  const int64_t group = action.heads / kv_heads, stacked = context.stacked;
  const int64_t tokens = heads.k.size(0) / batch, past = prefix.keys.size(2);
  const int64_t rows = query_rows * group;  // grouped rows per observation
  const int64_t products = batch * kv_heads, shared = stacked * kv_heads;
  const at::Tensor q = GroupByKeyHead(LastRows(heads.q, tokens, query_rows), stacked, kv_heads);
  // Own keys count only in their own dimensions; queries meet prefix keys in all (spec 3.4).
  const at::Tensor own_keys = heads.k.narrow(2, 0, dim)
                                  .unflatten(0, {stacked, batch / stacked, tokens})
                                  .permute({0, 3, 1, 4, 2})
                                  .reshape({products, dim, tokens});
  const at::Tensor own_values = heads.v.unflatten(0, {stacked, batch / stacked, tokens})
                                    .permute({0, 3, 1, 2, 4})
                                    .reshape({products, tokens, dim});
  const at::Tensor mask =
      own_mask.narrow(2, 0, tokens).narrow(1, (tokens - query_rows) * group, rows);

  const ScoreInputs in{q,
                       prefix.keys,
                       context.prefix_mask,
                       q.view({products, rows, q.size(2)}).narrow(2, 0, dim),
                       own_keys,
                       mask,
                       scale};
  const at::Tensor scores =
      at::GradMode::is_enabled() ? DifferentiableScores(in) : ScoresInPlace(in);

  const at::Tensor weights = at::softmax(scores, -1);
  const at::Tensor prefix_weights = weights.view({shared, -1, past + tokens}).narrow(2, 0, past);
  at::Tensor out = at::bmm(prefix_weights, prefix.values);
  out.view({products, rows, dim}).baddbmm_(weights.narrow(2, past, tokens), own_values);
  return UngroupByKeyHead(out, stacked, kv_heads, group);
}

}  // namespace automot::model
