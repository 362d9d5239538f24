#include "common/model/action_expert.h"

#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/model/attention_mask.h"
#include "common/status/status_macros.h"

namespace automot::model {
namespace {

at::Tensor OwnMask(const ActionGeometry& action, const ModelOptions& options) {
  const std::array<int64_t, 5> blocks = {action.bev_tokens, action.target_points + 1,
                                         action.decision_tokens, action.route_points,
                                         action.waypoints};
  return GroupedAdditiveMask(AllowedByBlocks(blocks), action.heads / action.kv_heads,
                             at::TensorOptions().dtype(options.dtype).device(options.device));
}

}  // namespace

ActionExpert::ActionExpert(const ModelGeometry& geometry, const ModelOptions& options)
    : action_(geometry.action),
      options_(options),
      rotary_(geometry.text, options.device),
      attention_{geometry.action, OwnMask(geometry.action, options),
                 1.0 / std::sqrt(static_cast<double>(geometry.text.head_dim))} {}

absl::StatusOr<ActionExpert> ActionExpert::Load(WeightSource& reader) {
  ActionExpert expert(reader.geometry(), reader.options());
  const ActionGeometry& action = expert.action_;
  expert.final_norm_ = reader.Get("language_model.model.norm_mot_gen.weight");
  for (int64_t i = 0; i < action.layers; ++i) {
    AUTOMOT_ASSIGN_OR_RETURN(Layer layer, LoadLayer(reader, i));
    expert.layers_.push_back(std::move(layer));
  }
  for (Layer& layer : expert.layers_) {
    const at::Tensor q = layer.qk_norm.narrow(0, 0, action.head_dim);
    const at::Tensor k = layer.qk_norm.narrow(0, action.head_dim, action.head_dim);
    layer.qk_norm = at::cat({q.unsqueeze(0).expand({action.heads, action.head_dim}),
                             k.unsqueeze(0).expand({action.kv_heads, action.head_dim})});
  }
  return expert;
}

absl::StatusOr<ActionExpert::Layer> ActionExpert::LoadLayer(WeightSource& reader, int64_t index) {
  const std::string p = absl::StrCat("language_model.model.layers.", index, ".");
  const std::string attention = p + "self_attn.", mlp = p + "mlp_mot_gen.";
  const auto pack = [&reader](const at::Tensor& weight) {
    return reader.ok() ? PackedLinear(weight) : PackedLinear();
  };
  Layer layer{
      .input_norm = reader.Get(p + "input_layernorm_mot_gen.weight"),
      .post_norm = reader.Get(p + "post_attention_layernorm_mot_gen.weight"),
      .qk_norm = reader.GetJoined(
          {attention + "q_norm_mot_gen.weight", attention + "k_norm_mot_gen.weight"}),
      .qkv = pack(reader.GetJoined({attention + "q_proj_mot_gen.weight",
                                    attention + "k_proj_mot_gen.weight",
                                    attention + "v_proj_mot_gen.weight"})),
      .out = pack(reader.Get(attention + "o_proj_mot_gen.weight")),
      .mlp = {pack(reader.Get(mlp + "gate_proj.weight")), pack(reader.Get(mlp + "up_proj.weight")),
              pack(reader.Get(mlp + "down_proj.weight"))},
  };
  if (!reader.ok()) return reader.status();
  return layer;
}

RotaryTable ActionExpert::Tables(const ContextUse& use, int64_t tokens) const {
  if (use.reuse == 0) {
    const auto first_rows = [&](const at::Tensor& table) {
      return table.unflatten(0, {use.context->stacked, -1}).narrow(1, 0, tokens).flatten(0, 1);
    };
    return {first_rows(use.context->rotary.cos), first_rows(use.context->rotary.signed_sin)};
  }
  const int64_t first = use.context->position_start + use.reuse * action_.tokens();
  return rotary_.TextTables(first, tokens, options_.dtype);
}

RotaryTable ActionExpert::BatchTables(absl::Span<const ContextUse> uses, int64_t tokens) const {
  if (uses.size() == 1 && uses[0].observations == 1) return Tables(uses[0], tokens);
  std::vector<at::Tensor> cos, sin;
  for (const ContextUse& use : uses) {
    const RotaryTable table = Tables(use, tokens);
    for (int64_t i = 0; i < use.observations; ++i) {
      cos.push_back(table.cos);
      sin.push_back(table.signed_sin);
    }
  }
  return {at::cat(cos), at::cat(sin)};
}

at::Tensor ActionExpert::Attend(const RotatedHeads& heads, absl::Span<const ContextUse> uses,
                                size_t layer, int64_t tokens, int64_t query_rows) const {
  if (uses.size() == 1) {
    return attention_(heads, *uses[0].context, layer, uses[0].batch(), query_rows);
  }
  std::vector<at::Tensor> parts;
  int64_t begin = 0;
  for (const ContextUse& use : uses) {
    const int64_t rows = use.batch() * tokens;
    const RotatedHeads part{heads.q.narrow(0, begin, rows), heads.k.narrow(0, begin, rows),
                            heads.v.narrow(0, begin, rows)};
    parts.push_back(attention_(part, *use.context, layer, use.batch(), query_rows));
    begin += rows;
  }
  return at::cat(parts);
}

at::Tensor ActionExpert::Run(const at::Tensor& embeds, absl::Span<const ContextUse> uses,
                             int64_t output_rows) const {
  const int64_t batch = embeds.size(0), tokens = embeds.size(1);
  const RotaryTable table = BatchTables(uses, tokens);
  const HeadCounts counts{action_.heads, action_.kv_heads, action_.head_dim};
  at::Tensor x = embeds.flatten(0, 1);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    // Of the last layer only the wanted rows are read, but all of them are keys.
    const int64_t query_rows = i + 1 == layers_.size() ? output_rows : tokens;
    const at::Tensor projected = layer.qkv.Apply(RmsNorm(x, layer.input_norm, action_.rms_eps));
    const RotatedHeads heads =
        SplitNormRotate(projected, counts, layer.qk_norm, action_.rms_eps, table);
    const at::Tensor attended = Attend(heads, uses, i, tokens, query_rows);
    x = layer.out.ApplyPlus(attended, LastRows(x, tokens, query_rows));
    x = AddSwiGlu(x, RmsNorm(x, layer.post_norm, action_.rms_eps), layer.mlp);
  }
  return RmsNorm(x, final_norm_, action_.rms_eps).view({batch, output_rows, -1});
}

}  // namespace automot::model
