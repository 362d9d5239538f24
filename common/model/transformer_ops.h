// The small pieces that all the transformers share. Plain tensors in, plain tensors out; any
// thread. Rows: `[tokens, hidden]`, model dtype, model device.
#pragma once

#include <ATen/ATen.h>

#include "common/model/packed_linear.h"
#include "common/model/rotary.h"

namespace automot::model {

// x / rms(x) * weight over the last axis. Computed in float32 and rounded to the model's dtype
// before the weight is applied, as the reference rounds (spec 2.4).
at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps);

struct SwiGlu {
  PackedLinear gate, up, down;  // hidden -> intermediate twice, and back
};
// x + down(silu(gate(h)) * up(h))
at::Tensor AddSwiGlu(const at::Tensor& x, const at::Tensor& h, const SwiGlu& mlp);

// Splits the rows of a joined q, k, v projection into heads, normalises q and k per head, pads them
// with zeros to the rotary's width and rotates them.
// projected: `[tokens, (heads + 2 * kv_heads) * head_dim]`; norm_weight: `[heads + kv_heads,
// head_dim]`.
struct HeadCounts {
  int64_t heads = 0;  // 0 where only keys and values were projected
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
};
struct RotatedHeads {
  at::Tensor q;  // [tokens, heads, rotary width]
  at::Tensor k;  // [tokens, kv_heads, rotary width]
  at::Tensor v;  // [tokens, kv_heads, head_dim]
};
RotatedHeads SplitNormRotate(const at::Tensor& projected, const HeadCounts& counts,
                             const at::Tensor& norm_weight, double eps, const RotaryTable& table);

// Lays queries out so that one product serves all the heads that share a key head:
// `[tokens, heads, dim]` -> `[kv_heads, tokens * group, dim]`, group innermost, contiguous.
at::Tensor GroupQueries(const at::Tensor& q, int64_t kv_heads);
// The inverse, flattened: `[kv_heads, tokens * group, dim]` -> `[tokens, heads * dim]`.
at::Tensor UngroupRows(const at::Tensor& rows, int64_t tokens);

// softmax(q k^T * scale + mask) v for grouped queries (see GroupQueries).
// k, v: `[keys, kv_heads, dim]`; mask: `[1, tokens * group, keys]`, additive, or undefined.
// Returns `[tokens, heads * dim]`.
at::Tensor GroupedAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const at::Tensor& mask, double scale);

// The same over two groups of keys that lie apart, `before` seen by every row and `own` through the
// mask (`[1, tokens * group, own keys]`, or undefined).
struct KeysAndValues {
  at::Tensor k, v;  // [keys, kv_heads, dim]
};
at::Tensor GroupedAttention(const at::Tensor& q, const KeysAndValues& before,
                            const KeysAndValues& own, const at::Tensor& mask, double scale);

}  // namespace automot::model
