// A linear layer whose weight is laid out once, at load, for the processor's matrix
// kernels, and whose neighbours (activation, product, residual) can ride on the product.
#pragma once

#include <ATen/ATen.h>

namespace automot::model {

// Immutable after construction, any thread. Rows are `[rows, in]` of the weight's dtype and device,
// contiguous; results are `[rows, out]`. On the CPU oneDNN's blocked layout is used (without it
// every call would reorder the weight again); elsewhere the stock operators.
class PackedLinear {
 public:
  PackedLinear() = default;
  // weight: `[out, in]`; bias: `[out]`, or undefined for none. Keeps a copy of the weight in the
  // packed layout, or the weight itself. A weight that requires a gradient is never packed: the
  // gradient reaches it through the stock operators.
  explicit PackedLinear(const at::Tensor& weight, const at::Tensor& bias = {});

  at::Tensor Apply(const at::Tensor& rows) const;
  // silu(Apply(rows))
  at::Tensor ApplySilu(const at::Tensor& rows) const;
  // factor * Apply(rows); factor: `[rows, out]`.
  at::Tensor ApplyTimes(const at::Tensor& rows, const at::Tensor& factor) const;
  // residual + Apply(rows); residual: `[rows, out]`.
  at::Tensor ApplyPlus(const at::Tensor& rows, const at::Tensor& residual) const;

  int64_t out_features() const { return out_features_; }
  bool packed() const { return packed_; }

 private:
  at::Tensor weight_, bias_;
  int64_t out_features_ = 0;
  bool packed_ = false;
};

}  // namespace automot::model
