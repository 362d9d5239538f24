// What a step costs in theory, and matrix products alone on the shapes of a step.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "common/checkpoint/geometry.h"
#include "common/model/packed_linear.h"

namespace automot::benchmarks {

// Floating-point operations of a step's matrix products, encoders and heads included; one vehicle,
// `prefix` tokens. Two per multiply-add.
struct StepFlops {
  double ours = 0;  // compact heads, unread rows left out, decision logits of `candidates`
  double eager =
      0;  // padded heads, all rows, the whole vocabulary, constant queries projected anew
};
StepFlops CountFlops(const model::ModelGeometry& geometry, int64_t prefix, int64_t candidates);

// The products of a few of the expert's layers (qkv, output, gate, up, down) with random weights.
// Enough layers that weights come from memory where the model's do.
class GemmProbe {
 public:
  GemmProbe(const model::ModelGeometry& geometry, at::ScalarType dtype);

  void RunPlain() const;   // at::linear
  void RunPacked() const;  // PackedLinear
  // Of one run.
  double flops() const { return flops_; }

 private:
  struct Product {
    at::Tensor rows, weight;
    model::PackedLinear packed;
  };
  std::vector<Product> products_;
  double flops_ = 0;
};

}  // namespace automot::benchmarks
