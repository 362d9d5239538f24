#include "tools/infer/action_stages.h"

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "common/model/action_model.h"
#include "common/model/attention_mask.h"
#include "common/model/bev/bev_encoder.h"
#include "common/status/status_macros.h"
#include "tools/infer/model_options.h"
#include "tools/infer/pictures.h"
#include "tools/infer/stage_timer.h"

namespace automot::infer {
namespace {

std::string ContextAxes(const model::ContextDims& full, const model::ContextDims& compact,
                        int64_t full_dim, int64_t compact_dim) {
  return absl::StrCat("[contexts, ", full.layers, ", tokens, ", full.kv_heads, ", ", full_dim,
                      "] or [contexts, ", compact.layers, ", tokens, ", compact.kv_heads, ", ",
                      compact_dim, "]");
}

bool Fits(const at::Tensor& tensor, const model::ContextDims& dims, int64_t dim) {
  return tensor.size(1) == dims.layers && tensor.size(3) == dims.kv_heads && tensor.size(4) == dim;
}

absl::StatusOr<model::ContextForm> FormOf(const model::ModelGeometry& geometry,
                                          const at::Tensor& keys, const at::Tensor& values) {
  const model::ContextDims full = model::DimsOf(geometry, model::ContextForm::kFull);
  const model::ContextDims compact = model::DimsOf(geometry, model::ContextForm::kCompact);
  const bool keys_full = Fits(keys, full, full.key_dim);
  if (!keys_full && !Fits(keys, compact, compact.key_dim)) {
    return absl::InvalidArgumentError(
        absl::StrCat("k_cache has shape ", c10::str(keys.sizes()), ", must be ",
                     ContextAxes(full, compact, full.key_dim, compact.key_dim)));
  }
  const model::ContextDims& dims = keys_full ? full : compact;
  AUTOMOT_RETURN_IF_ERROR(CheckAxes(
      "v_cache", values, {keys.size(0), dims.layers, keys.size(2), dims.kv_heads, dims.value_dim},
      absl::StrCat("[", keys.size(0), ", ", dims.layers, ", ", keys.size(2), ", ", dims.kv_heads,
                   ", ", dims.value_dim, "] beside this k_cache")));
  return keys_full ? model::ContextForm::kFull : model::ContextForm::kCompact;
}

model::ContextBuffers BuffersOf(const Contexts& contexts, int64_t index) {
  const at::Tensor keys = contexts.keys[index], values = contexts.values[index];
  model::ContextBuffers buffers{
      .form = contexts.form,
      .dtype = keys.scalar_type(),
      .tokens = keys.size(1),
      .position_start = contexts.position_starts[static_cast<size_t>(index)]};
  for (int64_t layer = 0; layer < keys.size(0); ++layer) {
    buffers.keys.push_back(keys[layer].const_data_ptr());
    buffers.values.push_back(values[layer].const_data_ptr());
  }
  return buffers;
}

// One use per observation, or one for all where they share a context.
absl::StatusOr<std::vector<model::ContextUse>> UsesOf(
    const std::vector<model::ActionContext>& contexts, int64_t batch, int64_t reuse) {
  if (contexts.size() == 1) return std::vector<model::ContextUse>{{&contexts[0], batch, reuse}};
  if (static_cast<int64_t>(contexts.size()) != batch) {
    return absl::InvalidArgumentError(absl::StrCat("k_cache holds ", contexts.size(),
                                                   " contexts, must hold 1 or ", batch,
                                                   " (the batch of speed)"));
  }
  std::vector<model::ContextUse> uses;
  for (const model::ActionContext& context : contexts) uses.push_back({&context, 1, reuse});
  return uses;
}

// The action tokens' positions `[batch, 3, tokens]` and mask `[tokens, tokens]`.
void AddTokens(const model::ActionModel& model, const std::vector<model::ContextUse>& uses,
               Outputs& outputs) {
  const model::ActionGeometry& action = model.geometry().action;
  std::vector<at::Tensor> positions;
  for (const model::ContextUse& use : uses) {
    const int64_t first = model.FirstPosition(use);
    positions.push_back(at::arange(first, first + action.tokens(), at::kLong)
                            .expand({use.observations, 3, action.tokens()}));
  }
  outputs.Add("action_position_ids", at::cat(positions));
  const std::vector<int64_t> blocks = {action.bev_tokens, action.target_points + 1,
                                       action.decision_tokens, action.route_points,
                                       action.waypoints};
  outputs.Add("action_mask_allowed", model::AllowedByBlocks(blocks));
}

void AddResults(const model::ActionModel& model, const model::ActionOutput& result,
                Outputs& outputs) {
  outputs.Add("hidden", result.hidden);
  outputs.Add(model.uses_lexicon() ? "lexicon_logits" : "logits", result.decision.logits);
  if (model.uses_lexicon()) {
    outputs.Add("lexicon_ids", at::tensor(model.lexicon().ids, at::kLong));
  }
  outputs.Add("pred_ids", result.decision.ids);
  outputs.Add("route_raw", result.route_raw);
  outputs.Add("route", result.route);
  outputs.Add("wp_offsets", result.wp_offsets);
  outputs.Add("waypoints", result.waypoints);
}

absl::StatusOr<std::unique_ptr<const model::ActionModel>> LoadActionModel(
    const model::Checkpoint& checkpoint, const model::Tokenizer& tokenizer,
    const InferOptions& options) {
  model::ActionOptions action;
  AUTOMOT_ASSIGN_OR_RETURN(action.model, ModelOptionsOf(options));
  action.decision_logits =
      options.lexicon_logits ? model::DecisionLogits::kLexicon : model::DecisionLogits::kFull;
  const StageTimer timer(options.timings, "load action expert");
  AUTOMOT_ASSIGN_OR_RETURN(auto model, model::ActionModel::Load(checkpoint, tokenizer, action));
  if (options.lexicon_logits && !model->uses_lexicon()) {
    std::fprintf(stderr, "automot-infer: note: full logits instead of the lexicon's: %s\n",
                 model->lexicon().why_full.c_str());
  }
  return model;
}

}  // namespace

absl::StatusOr<at::Tensor> RunBevEncoder(const model::Checkpoint& checkpoint,
                                         const InferOptions& options, BevSource source,
                                         const Inputs& inputs, Outputs& outputs) {
  AUTOMOT_ASSIGN_OR_RETURN(const model::ModelOptions arithmetic, ModelOptionsOf(options));
  std::unique_ptr<const model::BevEncoder> encoder;
  {
    const StageTimer timer(options.timings, "load BEV encoder");
    AUTOMOT_ASSIGN_OR_RETURN(encoder, model::BevEncoder::Load(checkpoint, arithmetic));
  }
  at::Tensor rgb;
  if (source == BevSource::kCamera) {
    AUTOMOT_ASSIGN_OR_RETURN(rgb,
                             CropCamera(inputs.Get("camera_rgb"), checkpoint.geometry().preprocess,
                                        options.jpeg_roundtrip));
  } else {
    rgb = inputs.Get("rgb");
  }
  const model::BevGeometry& bev = checkpoint.geometry().bev;
  const at::Tensor& counts = inputs.Get("lidar_hist_counts");
  AUTOMOT_RETURN_IF_ERROR(CheckAxes("lidar_hist_counts", counts,
                                    {rgb.size(0), 1, bev.lidar_rows, bev.lidar_cols},
                                    absl::StrCat("[", rgb.size(0), ", 1, ", bev.lidar_rows, ", ",
                                                 bev.lidar_cols, "] beside this picture")));
  const StageTimer timer(options.timings, "run BEV encoder");
  AUTOMOT_ASSIGN_OR_RETURN(const at::Tensor feature, encoder->Encode(rgb, counts));
  outputs.Add("bev_feature", feature);
  return feature;
}

absl::StatusOr<Contexts> ReadContexts(const model::ModelGeometry& geometry, const Inputs& inputs) {
  Contexts contexts{.keys = inputs.Get("k_cache"), .values = inputs.Get("v_cache")};
  AUTOMOT_ASSIGN_OR_RETURN(contexts.form, FormOf(geometry, contexts.keys, contexts.values));
  const at::Tensor& starts = inputs.Get("position_start");
  AUTOMOT_RETURN_IF_ERROR(
      CheckAxes("position_start", starts, {contexts.keys.size(0)},
                absl::StrCat("[", contexts.keys.size(0), "], one per context of k_cache")));
  const int64_t* const values = starts.const_data_ptr<int64_t>();
  contexts.position_starts.assign(values, values + starts.numel());
  return contexts;
}

absl::Status RunActionExpert(const model::Checkpoint& checkpoint, const model::Tokenizer& tokenizer,
                             const InferOptions& options, const at::Tensor& bev_feature,
                             const Contexts& contexts, const Inputs& inputs, Outputs& outputs) {
  AUTOMOT_ASSIGN_OR_RETURN(const auto model, LoadActionModel(checkpoint, tokenizer, options));
  std::vector<model::ActionContext> prepared;
  for (int64_t i = 0; i < contexts.keys.size(0); ++i) {
    AUTOMOT_ASSIGN_OR_RETURN(model::ActionContext context, model->Prepare(BuffersOf(contexts, i)));
    prepared.push_back(std::move(context));
  }
  const model::ActionInputs observation{bev_feature, inputs.Get("target_points"),
                                        inputs.Get("speed")};
  AUTOMOT_ASSIGN_OR_RETURN(const std::vector<model::ContextUse> uses,
                           UsesOf(prepared, observation.speed.size(0), options.reuse));
  const StageTimer timer(options.timings, "run action expert");
  AUTOMOT_ASSIGN_OR_RETURN(const model::ActionOutput result,
                           model->Plan(observation, uses, model::HiddenRows::kAll));
  AddTokens(*model, uses, outputs);
  AddResults(*model, result, outputs);
  return absl::OkStatus();
}

}  // namespace automot::infer
