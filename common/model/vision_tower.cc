#include "common/model/vision_tower.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace automot::model {
namespace {

constexpr char kPrefix[] = "vision_model.";

// The interpolation coordinates of one axis: end points included, lower index by truncation.
struct Taps {
  at::Tensor lower, upper;  // [count], int64
  at::Tensor fraction;      // [count], float32: weight of the upper one
};

Taps MakeTaps(int64_t count, int64_t side) {
  const at::Tensor at_coordinate = at::linspace(0, side - 1, count, at::kFloat);
  const at::Tensor lower = at_coordinate.to(at::kLong);
  return {lower, (lower + 1).clamp_max(side - 1), at_coordinate - lower.to(at::kFloat)};
}

// Undefined after a failure of the reader.
PackedLinear LoadLinear(WeightSource& reader, const std::string& prefix) {
  const at::Tensor weight = reader.Get(prefix + "weight"), bias = reader.Get(prefix + "bias");
  return reader.ok() ? PackedLinear(weight.flatten(1), bias) : PackedLinear();
}

}  // namespace

absl::StatusOr<std::unique_ptr<VisionTower>> VisionTower::Load(WeightSource& reader) {
  const ModelGeometry& geometry = reader.geometry();
  std::unique_ptr<VisionTower> tower(new VisionTower(geometry.vision, reader.options()));
  const std::string prefix = kPrefix;
  tower->patch_ = LoadLinear(reader, prefix + "patch_embed.proj.");
  tower->position_table_ = reader.Get(prefix + "pos_embed.weight");
  tower->LoadBlocks(reader);
  tower->merger_ = LoadMerger(reader, prefix + "merger.", /*after_grouping=*/false);
  for (size_t i = 0; i < geometry.vision.deepstack_layers.size(); ++i) {
    tower->deepstack_mergers_.push_back(
        LoadMerger(reader, absl::StrCat(prefix, "deepstack_merger_list.", i, "."), true));
  }
  if (!reader.ok()) return reader.status();
  tower->default_grid_ = {geometry.preprocess.frame_height / geometry.vision.patch,
                          geometry.preprocess.frame_width / geometry.vision.patch};
  tower->default_tables_ =
      tower->MakeTables(tower->default_grid_.first, tower->default_grid_.second);
  return tower;
}

void VisionTower::LoadBlocks(WeightSource& reader) {
  for (int64_t i = 0; i < vision_.depth; ++i) {
    const std::string p = absl::StrCat(kPrefix, "blocks.", i, ".");
    blocks_.push_back({
        .norm1_weight = reader.Get(p + "norm1.weight"),
        .norm1_bias = reader.Get(p + "norm1.bias"),
        .norm2_weight = reader.Get(p + "norm2.weight"),
        .norm2_bias = reader.Get(p + "norm2.bias"),
        .qkv = LoadLinear(reader, p + "attn.qkv."),
        .proj = LoadLinear(reader, p + "attn.proj."),
        .fc1 = LoadLinear(reader, p + "mlp.linear_fc1."),
        .fc2 = LoadLinear(reader, p + "mlp.linear_fc2."),
    });
  }
}

VisionTower::Merger VisionTower::LoadMerger(WeightSource& reader, const std::string& prefix,
                                            bool after_grouping) {
  return {
      .norm_weight = reader.Get(prefix + "norm.weight"),
      .norm_bias = reader.Get(prefix + "norm.bias"),
      .fc1 = LoadLinear(reader, prefix + "linear_fc1."),
      .fc2 = LoadLinear(reader, prefix + "linear_fc2."),
      .norm_after_grouping = after_grouping,
  };
}

VisionTower::GridTables VisionTower::MakeTables(int64_t rows, int64_t cols) const {
  const int64_t side = vision_.position_table_side;
  const Taps r = MakeTaps(rows, side), c = MakeTaps(cols, side);
  const at::Tensor row_fraction = r.fraction.unsqueeze(1), col_fraction = c.fraction.unsqueeze(0);
  at::Tensor sum;
  const auto add_tap = [&](const at::Tensor& row_index, const at::Tensor& col_index,
                           const at::Tensor& weight) {
    const at::Tensor index = (row_index.unsqueeze(1) * side + col_index.unsqueeze(0)).flatten();
    const at::Tensor tap = position_table_.index_select(0, index.to(options_.device))
                               .mul_(weight.reshape({-1, 1}).to(position_table_.options()));
    sum = sum.defined() ? sum.add_(tap) : tap;
  };
  add_tap(r.lower, c.lower, (1 - row_fraction) * (1 - col_fraction));
  add_tap(r.lower, c.upper, (1 - row_fraction) * col_fraction);
  add_tap(r.upper, c.lower, row_fraction * (1 - col_fraction));
  add_tap(r.upper, c.upper, row_fraction * col_fraction);
  return {ToMergeBlocks(sum.view({rows, cols, vision_.hidden}), vision_.merge).contiguous(),
          MakeRotaryTable(VisionAngles(vision_, rows, cols, options_.device), at::kFloat)};
}

at::Tensor VisionTower::RunBlock(const Block& block, const RotaryTable& rotary, int64_t images,
                                 const at::Tensor& x) const {
  const int64_t tokens = x.size(0), heads = vision_.heads, dim = vision_.head_dim();
  const at::Tensor normed =
      at::layer_norm(x, {vision_.hidden}, block.norm1_weight, block.norm1_bias, vision_.eps);
  const at::Tensor qkv = block.qkv.Apply(normed).view({images, tokens / images, 3 * heads, dim});
  const at::Tensor qk = ApplyRotary(qkv.narrow(2, 0, 2 * heads).to(at::kFloat), rotary)
                            .to(options_.dtype)
                            .transpose(1, 2);
  const at::Tensor attended =
      at::scaled_dot_product_attention(qk.narrow(1, 0, heads), qk.narrow(1, heads, heads),
                                       qkv.narrow(2, 2 * heads, heads).transpose(1, 2));
  const at::Tensor rows = attended.transpose(1, 2).reshape({tokens, vision_.hidden});
  const at::Tensor sum = block.proj.ApplyPlus(rows, x);
  const at::Tensor wide =
      at::gelu(block.fc1.Apply(at::layer_norm(sum, {vision_.hidden}, block.norm2_weight,
                                              block.norm2_bias, vision_.eps)),
               "tanh");
  return block.fc2.ApplyPlus(wide, sum);
}

at::Tensor VisionTower::Merge(const Merger& merger, const at::Tensor& x) const {
  const int64_t width = vision_.merged_hidden();
  const int64_t norm_width = merger.norm_after_grouping ? width : vision_.hidden;
  const at::Tensor normed = at::layer_norm(x.view({-1, norm_width}), {norm_width},
                                           merger.norm_weight, merger.norm_bias, vision_.eps);
  return merger.fc2.Apply(at::gelu(merger.fc1.Apply(normed.view({-1, width}))));
}

std::vector<ImageFeature> VisionTower::Encode(const at::Tensor& patches, int64_t rows,
                                              int64_t cols) const {
  const int64_t images = patches.size(0) / (rows * cols);
  const bool is_default = default_grid_ == std::pair{rows, cols};
  const GridTables tables = is_default ? default_tables_ : MakeTables(rows, cols);
  at::Tensor x = patch_.Apply(patches.to(options_.device, options_.dtype));
  x.view({images, rows * cols, vision_.hidden}).add_(tables.position_embedding);
  std::vector<at::Tensor> taps;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    x = RunBlock(blocks_[i], tables.rotary, images, x);
    if (taps.size() < deepstack_mergers_.size() &&
        vision_.deepstack_layers[taps.size()] == static_cast<int>(i)) {
      taps.push_back(Merge(deepstack_mergers_[taps.size()], x));
    }
  }
  const at::Tensor embeds = Merge(merger_, x);
  const ImageGrid grid{rows / vision_.merge, cols / vision_.merge};
  std::vector<ImageFeature> features;
  for (int64_t i = 0; i < images; ++i) {
    ImageFeature feature{grid, embeds.narrow(0, i * grid.tokens(), grid.tokens()), {}};
    for (const at::Tensor& tap : taps) {
      feature.deepstack.push_back(tap.narrow(0, i * grid.tokens(), grid.tokens()));
    }
    features.push_back(std::move(feature));
  }
  return features;
}

}  // namespace automot::model
