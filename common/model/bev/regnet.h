// RegNetY trunk (spec 3.6): stem and four stages, batch normalisation folded away.
// Maps: `[B, channels, rows, cols]`, model dtype, model device, channels-last memory.
#pragma once

#include <ATen/ATen.h>

#include <array>
#include <string>
#include <vector>

#include "common/checkpoint/geometry.h"
#include "common/model/weights.h"

namespace automot::model {

// A convolution with bias, ready to run. Plain data: copies share the tensors.
struct Convolution {
  at::Tensor weight;  // [out, in / groups, rows, cols]
  at::Tensor bias;    // [out]
  int64_t stride = 1;
  int64_t padding = 0;
  int64_t groups = 1;

  at::Tensor Run(const at::Tensor& x) const;
};

// Reads `name`.weight and `name`.bias of a 1x1 convolution.
Convolution ReadPointwise(WeightReader& weights, const std::string& name);
// Reads `name`.conv.weight and the statistics `name`.bn.*, and folds them in float32.
Convolution ReadFolded(WeightReader& weights, const std::string& name, double eps);

// Immutable after Load; any number of threads may run it.
class RegNet {
 public:
  // Failures stay in `weights` (see WeightReader::status).
  void Load(WeightReader& weights, const std::string& prefix, const RegNetGeometry& geometry);

  // x: `[B, in_channels, rows, cols]` -> half the size, stem_width channels.
  at::Tensor Stem(const at::Tensor& x) const;
  // Stage 0..3: half the size, `stages[stage].width` channels.
  at::Tensor Stage(size_t stage, at::Tensor x) const;

 private:
  struct Block {
    Convolution conv1, conv2, conv3;
    Convolution squeeze, excite;  // of the channel attention
    Convolution downsample;       // weight undefined where the shortcut is the identity
  };
  static Block LoadBlock(WeightReader& weights, const std::string& name, const RegNetStage& stage,
                         double eps, bool first);
  static at::Tensor RunBlock(const Block& block, const at::Tensor& x);

  Convolution stem_;
  std::array<std::vector<Block>, 4> stages_;
};

}  // namespace automot::model
