#include "common/model/bev/fusion_transformer.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace automot::model {

FusionTransformer::Norm FusionTransformer::ReadNorm(WeightSource& weights,
                                                    const std::string& name) {
  return {weights.Get(name + ".weight"), weights.Get(name + ".bias")};
}

FusionTransformer::Linear FusionTransformer::ReadLinear(WeightSource& weights,
                                                        const std::string& name) {
  return {weights.Get(name + ".weight"), weights.Get(name + ".bias")};
}

FusionTransformer::Block FusionTransformer::ReadBlock(WeightSource& weights,
                                                      const std::string& name) {
  const std::string attn = name + ".attn.";
  return {.ln1 = ReadNorm(weights, name + ".ln1"),
          .ln2 = ReadNorm(weights, name + ".ln2"),
          .qkv = {weights.GetJoined(
                      {attn + "query.weight", attn + "key.weight", attn + "value.weight"}),
                  weights.GetJoined({attn + "query.bias", attn + "key.bias", attn + "value.bias"})},
          .proj = ReadLinear(weights, attn + "proj"),
          .up = ReadLinear(weights, name + ".mlp.0"),
          .down = ReadLinear(weights, name + ".mlp.2")};
}

void FusionTransformer::Load(WeightSource& weights, const std::string& prefix,
                             const BevGeometry& geometry) {
  heads_ = geometry.fusion_heads;
  eps_ = geometry.layer_norm_eps;
  positions_ = weights.Get(prefix + "pos_emb");
  blocks_.clear();
  for (int64_t i = 0; i < geometry.fusion_blocks; ++i) {
    blocks_.push_back(ReadBlock(weights, absl::StrCat(prefix, "blocks.", i)));
  }
  final_ = ReadNorm(weights, prefix + "ln_f");
}

at::Tensor FusionTransformer::Normalise(const at::Tensor& x, const Norm& norm) const {
  return at::layer_norm(x, {x.size(-1)}, norm.weight, norm.bias, eps_);
}

at::Tensor FusionTransformer::Attend(const at::Tensor& x, const Block& block) const {
  const int64_t batch = x.size(0), tokens = x.size(1), channels = x.size(2);
  const at::Tensor qkv = at::linear(x, block.qkv.weight, block.qkv.bias)
                             .view({batch, tokens, 3, heads_, channels / heads_})
                             .permute({2, 0, 3, 1, 4});
  const at::Tensor joined = at::scaled_dot_product_attention(qkv[0], qkv[1], qkv[2]);
  return at::linear(joined.transpose(1, 2).reshape({batch, tokens, channels}), block.proj.weight,
                    block.proj.bias);
}

at::Tensor FusionTransformer::Run(const at::Tensor& tokens) const {
  at::Tensor x = tokens + positions_;
  for (const Block& block : blocks_) {
    x = x + Attend(Normalise(x, block.ln1), block);
    const at::Tensor wide =
        at::linear(Normalise(x, block.ln2), block.up.weight, block.up.bias).relu_();
    x = x + at::linear(wide, block.down.weight, block.down.bias);
  }
  return Normalise(x, final_);
}

}  // namespace automot::model
