#include "common/model/bev/regnet.h"

#include <c10/core/GradMode.h>

#include "absl/strings/str_cat.h"

namespace automot::model {
namespace {

// The share of a batch in the stored statistics.
constexpr double kStatisticsMomentum = 0.05;

at::Tensor ChannelsLast(const at::Tensor& weight) {
  return weight.defined() ? weight.contiguous(at::MemoryFormat::ChannelsLast) : weight;
}

// A 1x1 convolution as a product of matrices. oneDNN's AVX-512 kernel for the weight gradient of
// such convolutions was seen to crash on the few channels of small trunks; training has no use for
// it.
at::Tensor Pointwise(const Convolution& convolution, const at::Tensor& x) {
  const int64_t stride = convolution.stride;
  const at::Tensor seen = stride == 1 ? x : x.slice(2, 0, {}, stride).slice(3, 0, {}, stride);
  return at::linear(seen.permute({0, 2, 3, 1}), convolution.weight.flatten(1), convolution.bias)
      .permute({0, 3, 1, 2});
}

}  // namespace

at::Tensor Convolution::Run(const at::Tensor& x) const {
  const bool as_product = at::GradMode::is_enabled() && weight.requires_grad() && groups == 1 &&
                          weight.size(2) == 1 && weight.size(3) == 1;
  const at::Tensor y = as_product ? Pointwise(*this, x)
                                  : at::conv2d(x, weight, bias, {stride, stride},
                                               {padding, padding}, {1, 1}, groups);
  if (!norm.gain.defined()) return y;
  return at::batch_norm(y, norm.gain, norm.shift, norm.mean, norm.variance, /*training=*/true,
                        kStatisticsMomentum, norm.eps, /*cudnn_enabled=*/false);
}

Convolution ReadPointwise(WeightSource& weights, const std::string& name) {
  return {.weight = ChannelsLast(weights.Get(name + ".weight")),
          .bias = weights.Get(name + ".bias")};
}

Convolution ReadFolded(WeightSource& weights, const std::string& name, double eps) {
  const at::Tensor kernel = weights.Get(name + ".conv.weight");
  const at::Tensor gain = weights.Get(name + ".bn.weight");
  const at::Tensor shift = weights.Get(name + ".bn.bias");
  const at::Tensor mean = weights.Get(name + ".bn.running_mean");
  const at::Tensor variance = weights.Get(name + ".bn.running_var");
  if (!weights.ok()) return {};
  if (weights.batch_statistics()) {
    return {.weight = ChannelsLast(kernel), .norm = {gain, shift, mean, variance, eps}};
  }
  // float64 keeps the fold itself free of error; the result is rounded once.
  const at::Tensor scale = gain.to(at::kDouble) * at::rsqrt(variance.to(at::kDouble) + eps);
  const at::Tensor folded = kernel.to(at::kDouble) * scale.view({-1, 1, 1, 1});
  const at::Tensor bias = shift.to(at::kDouble) - mean.to(at::kDouble) * scale;
  const at::ScalarType dtype = weights.options().dtype;
  return {.weight = ChannelsLast(folded.to(dtype)), .bias = bias.to(dtype)};
}

void RegNet::Load(WeightSource& weights, const std::string& prefix,
                  const RegNetGeometry& geometry) {
  stem_ = ReadFolded(weights, absl::StrCat(prefix, "stem"), geometry.batch_norm_eps);
  stem_.stride = 2;
  stem_.padding = 1;
  for (size_t stage = 0; stage < stages_.size(); ++stage) {
    stages_[stage].clear();
    for (int64_t block = 0; block < geometry.stages[stage].depth && weights.ok(); ++block) {
      const std::string name = absl::StrCat(prefix, "s", stage + 1, ".b", block + 1);
      stages_[stage].push_back(LoadBlock(weights, name, geometry.stages[stage],
                                         geometry.batch_norm_eps, /*first=*/block == 0));
    }
  }
}

RegNet::Block RegNet::LoadBlock(WeightSource& weights, const std::string& name,
                                const RegNetStage& stage, double eps, bool first) {
  Block block{.conv1 = ReadFolded(weights, name + ".conv1", eps),
              .conv2 = ReadFolded(weights, name + ".conv2", eps),
              .conv3 = ReadFolded(weights, name + ".conv3", eps),
              .squeeze = ReadPointwise(weights, name + ".se.fc1"),
              .excite = ReadPointwise(weights, name + ".se.fc2"),
              .downsample = {}};
  block.conv2.padding = 1;
  block.conv2.groups = stage.width / stage.group_width;
  if (first) {
    block.conv2.stride = 2;
    block.downsample = ReadFolded(weights, name + ".downsample", eps);
    block.downsample.stride = 2;
  }
  return block;
}

at::Tensor RegNet::Stem(const at::Tensor& x) const { return stem_.Run(x).relu_(); }

at::Tensor RegNet::Stage(size_t stage, at::Tensor x) const {
  for (const Block& block : stages_[stage]) x = RunBlock(block, x);
  return x;
}

at::Tensor RegNet::RunBlock(const Block& block, const at::Tensor& x) {
  at::Tensor y = block.conv1.Run(x).relu_();
  y = block.conv2.Run(y).relu_();
  const at::Tensor squeezed = block.squeeze.Run(at::mean(y, {2, 3}, /*keepdim=*/true)).relu_();
  y = y * block.excite.Run(squeezed).sigmoid_();
  y = block.conv3.Run(y);
  y.add_(block.downsample.weight.defined() ? block.downsample.Run(x) : x);
  return y.relu_();
}

}  // namespace automot::model
