#include "common/model/transformer_ops.h"

namespace automot::model {

at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor inverse = at::mean(at::square(wide), {-1}, /*keepdim=*/true).add_(eps).rsqrt_();
  return at::mul(wide, inverse).to(x.scalar_type()).mul_(weight);
}

at::Tensor AddSwiGlu(const at::Tensor& x, const at::Tensor& h, const SwiGlu& mlp) {
  return mlp.down.ApplyPlus(mlp.up.ApplyTimes(h, mlp.gate.ApplySilu(h)), x);
}

RotatedHeads SplitNormRotate(const at::Tensor& projected, const HeadCounts& counts,
                             const at::Tensor& norm_weight, double eps, const RotaryTable& table) {
  const int64_t tokens = projected.size(0);
  const int64_t normed = counts.heads + counts.kv_heads;
  const at::Tensor heads = projected.view({tokens, normed + counts.kv_heads, counts.head_dim});
  at::Tensor qk = RmsNorm(heads.narrow(1, 0, normed), norm_weight, eps);
  const int64_t padding = table.width() - counts.head_dim;
  if (padding > 0) qk = at::constant_pad_nd(qk, {0, padding});
  qk = ApplyRotary(qk, table);
  return {qk.narrow(1, 0, counts.heads), qk.narrow(1, counts.heads, counts.kv_heads),
          heads.narrow(1, normed, counts.kv_heads)};
}

at::Tensor GroupQueries(const at::Tensor& q, int64_t kv_heads) {
  const int64_t tokens = q.size(0), group = q.size(1) / kv_heads, dim = q.size(2);
  // Without the last call a group of one would stay a view.
  return q.unflatten(1, {kv_heads, group})
      .permute({1, 0, 2, 3})
      .reshape({kv_heads, tokens * group, dim})
      .contiguous();
}

at::Tensor UngroupRows(const at::Tensor& rows, int64_t tokens) {
  const int64_t kv_heads = rows.size(0), group = rows.size(1) / tokens, dim = rows.size(2);
  return rows.view({kv_heads, tokens, group, dim})
      .permute({1, 0, 2, 3})
      .reshape({tokens, kv_heads * group * dim});
}

namespace {

// [kv_heads, rows, keys]
at::Tensor Scores(const at::Tensor& grouped, const at::Tensor& k, const at::Tensor& mask,
                  double scale) {
  const at::Tensor keys = k.permute({1, 2, 0});
  if (!mask.defined()) return at::bmm(grouped, keys).mul_(scale);
  return at::baddbmm(mask, grouped, keys, /*beta=*/1, /*alpha=*/scale);
}

}  // namespace

at::Tensor GroupedAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const at::Tensor& mask, double scale) {
  const at::Tensor scores = Scores(GroupQueries(q, k.size(1)), k, mask, scale);
  return UngroupRows(at::bmm(at::softmax(scores, -1), v.permute({1, 0, 2})), q.size(0));
}

at::Tensor GroupedAttention(const at::Tensor& q, const KeysAndValues& before,
                            const KeysAndValues& own, const at::Tensor& mask, double scale) {
  const at::Tensor grouped = GroupQueries(q, own.k.size(1));
  const at::Tensor weights = at::softmax(
      at::cat({Scores(grouped, before.k, {}, scale), Scores(grouped, own.k, mask, scale)}, -1), -1);
  const int64_t count = before.k.size(0);
  const at::Tensor seen = at::bmm(weights.narrow(2, 0, count), before.v.permute({1, 0, 2}));
  return UngroupRows(
      at::baddbmm(seen, weights.narrow(2, count, own.k.size(0)), own.v.permute({1, 0, 2})),
      q.size(0));
}

}  // namespace automot::model
