#include "common/checkpoint/layout.h"

#include <utility>

#include "common/checkpoint/text.h"

namespace automot::model {
namespace {

using Shape = std::vector<int64_t>;

// Appends tensors under a name prefix.
class Scope {
 public:
  Scope(std::vector<ExpectedTensor>& out, std::string prefix)
      : out_(out), prefix_(std::move(prefix)) {}

  Scope In(std::string_view part) const { return Scope(out_, Concat(prefix_, part, ".")); }
  Scope In(std::string_view part, int64_t index) const {
    return Scope(out_, Concat(prefix_, part, ".", index, "."));
  }
  void Add(std::string_view name, Shape shape, TensorRole role, bool optional = false) const {
    out_.push_back({Concat(prefix_, name), std::move(shape), role, optional});
  }
  void Weight(std::string_view name, Shape shape) const {
    Add(Concat(name, ".weight"), std::move(shape), TensorRole::kProjection);
  }
  void WeightBias(std::string_view name, Shape shape) const {
    const int64_t out = shape.front();
    Weight(name, std::move(shape));
    Add(Concat(name, ".bias"), {out}, TensorRole::kBias);
  }
  void Norm(std::string_view name, int64_t width) const {
    Add(Concat(name, ".weight"), {width}, TensorRole::kNormWeight);
  }
  void NormBias(std::string_view name, int64_t width) const {
    Norm(name, width);
    Add(Concat(name, ".bias"), {width}, TensorRole::kBias);
  }

 private:
  std::vector<ExpectedTensor>& out_;
  std::string prefix_;
};

// Attention, norms and SwiGLU of one expert in one decoder layer; `suffix` tells the experts apart.
struct ExpertSizes {
  std::string_view suffix;
  int64_t hidden, heads, kv_heads, head_dim, intermediate;
};

void AddExpertLayer(const Scope& layer, const ExpertSizes& e) {
  const auto named = [&](std::string_view name) { return Concat(name, e.suffix); };
  layer.Norm(named("input_layernorm"), e.hidden);
  const Scope attention = layer.In("self_attn");
  attention.Weight(named("q_proj"), {e.heads * e.head_dim, e.hidden});
  attention.Weight(named("k_proj"), {e.kv_heads * e.head_dim, e.hidden});
  attention.Weight(named("v_proj"), {e.kv_heads * e.head_dim, e.hidden});
  attention.Weight(named("o_proj"), {e.hidden, e.heads * e.head_dim});
  attention.Norm(named("q_norm"), e.head_dim);
  attention.Norm(named("k_norm"), e.head_dim);
  layer.Norm(named("post_attention_layernorm"), e.hidden);
  const Scope mlp = layer.In(named("mlp"));
  mlp.Weight("gate_proj", {e.intermediate, e.hidden});
  mlp.Weight("up_proj", {e.intermediate, e.hidden});
  mlp.Weight("down_proj", {e.hidden, e.intermediate});
}

void AddDecoder(const Scope& root, const ModelGeometry& g) {
  const TextGeometry& t = g.text;
  const ActionGeometry& a = g.action;
  root.Add(kEmbeddingName, {t.vocab, t.hidden}, TensorRole::kEmbedding);
  const Scope model = root.In("language_model").In("model");
  for (int64_t i = 0; i < t.layers; ++i) {
    const Scope layer = model.In("layers", i);
    AddExpertLayer(layer, {"", t.hidden, t.heads, t.kv_heads, t.head_dim, t.intermediate});
    AddExpertLayer(layer, {"_mot_gen", a.hidden, a.heads, a.kv_heads, a.head_dim, a.intermediate});
  }
  model.Norm("norm", t.hidden);
  model.Norm("norm_mot_gen", a.hidden);
  root.Add(kLmHeadName, {t.vocab, t.hidden}, TensorRole::kProjection, /*optional=*/t.tied);
}

void AddMerger(const Scope& merger, const VisionGeometry& v, int64_t norm_width) {
  merger.NormBias("norm", norm_width);
  merger.WeightBias("linear_fc1", {v.merged_hidden(), v.merged_hidden()});
  merger.WeightBias("linear_fc2", {v.out_hidden, v.merged_hidden()});
}

void AddVision(const Scope& root, const VisionGeometry& v) {
  const Scope vision = root.In("vision_model");
  vision.WeightBias("patch_embed.proj",
                    {v.hidden, v.in_channels, v.temporal_patch, v.patch, v.patch});
  vision.Add("pos_embed.weight", {v.position_table_side * v.position_table_side, v.hidden},
             TensorRole::kEmbedding);
  for (int64_t b = 0; b < v.depth; ++b) {
    const Scope block = vision.In("blocks", b);
    block.NormBias("norm1", v.hidden);
    block.WeightBias("attn.qkv", {3 * v.hidden, v.hidden});
    block.WeightBias("attn.proj", {v.hidden, v.hidden});
    block.NormBias("norm2", v.hidden);
    block.WeightBias("mlp.linear_fc1", {v.intermediate, v.hidden});
    block.WeightBias("mlp.linear_fc2", {v.hidden, v.intermediate});
  }
  AddMerger(vision.In("merger"), v, v.hidden);
  for (size_t i = 0; i < v.deepstack_layers.size(); ++i) {
    AddMerger(vision.In("deepstack_merger_list", static_cast<int64_t>(i)), v, v.merged_hidden());
  }
}

void AddQueries(const Scope& root, const ActionGeometry& a, std::string_view stem, int64_t count) {
  root.Add(Concat(stem, "_queries.weight"), {count, a.query_dim}, TensorRole::kEmbedding);
  const Scope projector = root.In(Concat(stem, "_projector"));
  projector.WeightBias("fc1", {a.hidden, a.query_dim});
  projector.WeightBias("fc2", {a.hidden, a.hidden});
}

void AddNumericEncoder(const Scope& encoder, const ActionGeometry& a, int64_t inputs) {
  encoder.WeightBias("0", {a.encoder_widths[0], inputs});
  encoder.WeightBias("2", {a.encoder_widths[1], a.encoder_widths[0]});
  encoder.WeightBias("4", {a.hidden, a.encoder_widths[1]});
}

void AddPointHead(const Scope& head, const ActionGeometry& a, int64_t points) {
  head.Add("query", {1, points, a.hidden}, TensorRole::kEmbedding);  // stored, never used
  head.WeightBias("mlp.0", {a.head_widths[0], a.hidden});
  head.WeightBias("mlp.2", {a.head_widths[1], a.head_widths[0]});
  head.Weight("mlp.4", {2, a.head_widths[1]});
}

void AddAction(const Scope& root, const ModelGeometry& g) {
  const ActionGeometry& a = g.action;
  root.WeightBias("bev_encoder_proj", {a.hidden, g.bev.feature_channels});
  AddNumericEncoder(root.In("target_point_encoder").In("mlp"), a, 2);
  AddNumericEncoder(root.In("velocity_encoder"), a, 1);
  AddQueries(root, a, "reasoning", a.decision_tokens);
  AddQueries(root, a, "route", a.route_points);
  AddQueries(root, a, "waypoint", a.waypoints);
  AddPointHead(root.In("route_head"), a, a.route_points);
  AddPointHead(root.In("waypoints_head"), a, a.waypoints);
  root.WeightBias("velocity_head.0", {a.hidden, a.hidden});
  root.WeightBias("velocity_head.2", {a.future_speeds, a.hidden});
}

void AddConvNorm(const Scope& scope, Shape kernel) {
  const int64_t width = kernel.front();
  scope.Weight("conv", std::move(kernel));
  scope.NormBias("bn", width);
  scope.Add("bn.running_mean", {width}, TensorRole::kRunningMean);
  scope.Add("bn.running_var", {width}, TensorRole::kRunningVar);
  scope.Add("bn.num_batches_tracked", {}, TensorRole::kCounter);
}

void AddTrunk(const Scope& trunk, const RegNetGeometry& r) {
  AddConvNorm(trunk.In("stem"), {r.stem_width, r.in_channels, 3, 3});
  int64_t in = r.stem_width;
  for (size_t s = 0; s < r.stages.size(); ++s) {
    const RegNetStage& stage = r.stages[s];
    for (int64_t b = 0; b < stage.depth; ++b) {
      const Scope block = trunk.In(Concat("s", s + 1)).In(Concat("b", b + 1));
      AddConvNorm(block.In("conv1"), {stage.width, in, 1, 1});
      AddConvNorm(block.In("conv2"), {stage.width, stage.group_width, 3, 3});
      block.WeightBias("se.fc1", {stage.se_channels[b], stage.width, 1, 1});
      block.WeightBias("se.fc2", {stage.width, stage.se_channels[b], 1, 1});
      AddConvNorm(block.In("conv3"), {stage.width, stage.width, 1, 1});
      if (b == 0) AddConvNorm(block.In("downsample"), {stage.width, in, 1, 1});
      in = stage.width;
    }
  }
}

void AddFusion(const Scope& bev, const BevGeometry& g, int64_t index) {
  const int64_t image = g.image.stages[index].width, lidar = g.lidar.stages[index].width;
  bev.WeightBias(Concat("lidar_channel_to_img.", index), {image, lidar, 1, 1});
  const Scope gpt = bev.In("transformers", index);
  gpt.Add("pos_emb", {1, g.image_tokens() + g.lidar_tokens(), image}, TensorRole::kEmbedding);
  for (int64_t b = 0; b < g.fusion_blocks; ++b) {
    const Scope block = gpt.In("blocks", b);
    block.NormBias("ln1", image);
    for (const char* name : {"attn.key", "attn.query", "attn.value", "attn.proj"}) {
      block.WeightBias(name, {image, image});
    }
    block.NormBias("ln2", image);
    block.WeightBias("mlp.0", {g.fusion_mlp_ratio * image, image});
    block.WeightBias("mlp.2", {image, g.fusion_mlp_ratio * image});
  }
  gpt.NormBias("ln_f", image);
  bev.WeightBias(Concat("img_channel_to_lidar.", index), {lidar, image, 1, 1});
}

void AddBevEncoder(const Scope& root, const BevGeometry& g) {
  const Scope bev = root.In("bev_encoder");
  AddTrunk(bev.In("image_encoder"), g.image);
  AddTrunk(bev.In("lidar_encoder"), g.lidar);
  for (int64_t i = 0; i < 4; ++i) AddFusion(bev, g, i);
  bev.WeightBias("c5_conv", {g.fpn_channels, g.feature_channels, 1, 1});
  bev.WeightBias("up_conv5", {g.fpn_channels, g.fpn_channels, 3, 3});
  bev.WeightBias("up_conv4", {g.fpn_channels, g.fpn_channels, 3, 3});
}

}  // namespace

ModelPart PartOf(std::string_view name) {
  if (name.starts_with("bev_encoder.")) return ModelPart::kBev;
  const bool qwen = name.starts_with("vision_model.") || name.starts_with("language_model.");
  return qwen && name.find("_mot_gen") == name.npos ? ModelPart::kUnderstanding
                                                    : ModelPart::kAction;
}

std::vector<ExpectedTensor> ExpectedTensors(const ModelGeometry& geometry) {
  std::vector<ExpectedTensor> out;
  const Scope root(out, "");
  AddVision(root, geometry.vision);
  AddDecoder(root, geometry);
  AddBevEncoder(root, geometry.bev);
  AddAction(root, geometry);
  return out;
}

}  // namespace automot::model
