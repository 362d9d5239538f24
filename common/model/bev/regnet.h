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

// Batch normalisation that is not folded away: training normalises by each batch's statistics and
// moves the stored ones towards them. All [out].
struct BatchNorm {
  at::Tensor gain, shift, mean, variance;
  double eps = 0;
};

// A convolution with bias, ready to run. Plain data: copies share the tensors.
struct Convolution {
  at::Tensor weight;  // [out, in / groups, rows, cols]
  at::Tensor bias;    // [out], or undefined
  BatchNorm norm;     // undefined where it is folded in, as it is for serving
  int64_t stride = 1;
  int64_t padding = 0;
  int64_t groups = 1;

  at::Tensor Run(const at::Tensor& x) const;
};

// Reads `name`.weight and `name`.bias of a 1x1 convolution.
Convolution ReadPointwise(WeightSource& weights, const std::string& name);
// Reads `name`.conv.weight and the statistics `name`.bn.*, and folds them, unless the source wants
// the statistics of each batch.
Convolution ReadFolded(WeightSource& weights, const std::string& name, double eps);

// Immutable after Load; any number of threads may run it.
class RegNet {
 public:
  // Failures stay in `weights` (see WeightSource::status).
  void Load(WeightSource& weights, const std::string& prefix, const RegNetGeometry& geometry);

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
  static Block LoadBlock(WeightSource& weights, const std::string& name, const RegNetStage& stage,
                         double eps, bool first);
  static at::Tensor RunBlock(const Block& block, const at::Tensor& x);

  Convolution stem_;
  std::array<std::vector<Block>, 4> stages_;
};

}  // namespace automot::model
