// The transformer that joins image and LiDAR tokens after a stage (spec 3.6): pre-LN blocks over
// both token groups at once, with a learned position embedding.
#pragma once

#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "common/checkpoint/geometry.h"
#include "common/model/weights.h"

namespace automot::model {

// Immutable after Load; any number of threads may run it.
class FusionTransformer {
 public:
  // Failures stay in `weights` (see WeightSource::status).
  void Load(WeightSource& weights, const std::string& prefix, const BevGeometry& geometry);

  // tokens: `[B, image tokens then LiDAR tokens, channels]`, model dtype, model device.
  // Returns the same shape, after the final norm.
  at::Tensor Run(const at::Tensor& tokens) const;

 private:
  struct Norm {
    at::Tensor weight, bias;
  };
  struct Linear {
    at::Tensor weight, bias;
  };
  struct Block {
    Norm ln1, ln2;
    Linear qkv;  // query, key and value joined
    Linear proj, up, down;
  };
  static Norm ReadNorm(WeightSource& weights, const std::string& name);
  static Linear ReadLinear(WeightSource& weights, const std::string& name);
  static Block ReadBlock(WeightSource& weights, const std::string& name);
  at::Tensor Normalise(const at::Tensor& x, const Norm& norm) const;
  at::Tensor Attend(const at::Tensor& x, const Block& block) const;

  int64_t heads_ = 0;
  double eps_ = 1e-5;
  at::Tensor positions_;  // [1, tokens, channels]
  std::vector<Block> blocks_;
  Norm final_;
};

}  // namespace automot::model
