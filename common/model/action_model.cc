#include "common/model/action_model.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/model/torch_status.h"
#include "common/status/status_macros.h"

namespace automot::model {
namespace {

absl::Status CheckShape(const char* field, const at::Tensor& tensor, at::IntArrayRef wanted) {
  if (tensor.defined() && tensor.sizes() == wanted) return absl::OkStatus();
  const std::string got = tensor.defined() ? c10::str(tensor.sizes()) : "absent";
  return absl::InvalidArgumentError(
      absl::StrCat(field, " is ", got, ", must be ", c10::str(wanted)));
}

DecisionHead::Result ToHost(const DecisionHead::Result& result) {
  return {result.logits.cpu(), result.ids.cpu(), result.probabilities.cpu()};
}

}  // namespace

ActionModel::ActionModel(const ModelGeometry& geometry, const ActionOptions& options,
                         Lexicon lexicon, ActionEncoder encoder, ActionExpert expert,
                         PointHead route, PointHead waypoints, DecisionHead decision)
    : geometry_(geometry),
      options_(options),
      lexicon_(std::move(lexicon)),
      encoder_(std::move(encoder)),
      expert_(std::move(expert)),
      route_head_(std::move(route)),
      waypoint_head_(std::move(waypoints)),
      decision_head_(std::move(decision)) {}

absl::StatusOr<std::unique_ptr<const ActionModel>> ActionModel::Load(const Checkpoint& checkpoint,
                                                                     const Tokenizer& tokenizer,
                                                                     const ActionOptions& options) {
  AUTOMOT_RETURN_IF_ERROR(ValidateOptions(options.model));
  return CatchTorch("loading the action expert", [&] {
    WeightReader reader(checkpoint, options.model, ModelPart::kAction);
    return FromWeights(reader, tokenizer, options);
  });
}

absl::StatusOr<std::unique_ptr<const ActionModel>> ActionModel::FromWeights(
    WeightSource& weights, const Tokenizer& tokenizer, const ActionOptions& options) {
  const ModelGeometry& geometry = weights.geometry();
  Lexicon lexicon = MakeLexicon(tokenizer, geometry.tokens, geometry.driving.lexicon);
  const bool use_lexicon = lexicon.usable() && options.decision_logits == DecisionLogits::kLexicon;
  AUTOMOT_ASSIGN_OR_RETURN(ActionEncoder encoder,
                           ActionEncoder::Load(weights, options.decision_only));
  AUTOMOT_ASSIGN_OR_RETURN(ActionExpert expert, ActionExpert::Load(weights));
  PointHead route, waypoints;
  if (!options.decision_only) {
    AUTOMOT_ASSIGN_OR_RETURN(route, PointHead::Load(weights, "route_head."));
    AUTOMOT_ASSIGN_OR_RETURN(waypoints, PointHead::Load(weights, "waypoints_head."));
  }
  AUTOMOT_ASSIGN_OR_RETURN(
      DecisionHead decision,
      DecisionHead::Load(weights, use_lexicon ? lexicon.ids : std::vector<int64_t>{}));
  return std::unique_ptr<const ActionModel>(
      new ActionModel(geometry, options, std::move(lexicon), std::move(encoder), std::move(expert),
                      std::move(route), std::move(waypoints), std::move(decision)));
}

absl::StatusOr<ActionContext> ActionModel::Prepare(const ContextBuffers& buffers) const {
  return CatchTorch("preparing a context", [&] {
    return MakeActionContext(geometry_, options_.model, expert_.rotary(), buffers);
  });
}

absl::Status ActionModel::CheckUses(int64_t batch, absl::Span<const ContextUse> uses) const {
  int64_t observations = 0;
  for (const ContextUse& use : uses) {
    if (use.context == nullptr || use.observations < 1) {
      return absl::InvalidArgumentError("a context use has no context or no observation");
    }
    if (use.reuse < 0 || FirstPosition(use) > kMaxPosition) {
      return absl::InvalidArgumentError(
          absl::StrCat("reuse is ", use.reuse, ", positions must be in [0, ", kMaxPosition, "]"));
    }
    if (use.context->stacked > 1 && (use.observations != 1 || use.reuse != 0)) {
      return absl::InvalidArgumentError("stacked contexts have one observation each and no reuse");
    }
    observations += use.batch();
  }
  if (observations == batch) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("contexts cover ", observations, " observations, the batch has ", batch));
}

absl::Status ActionModel::CheckInputs(const ActionInputs& inputs,
                                      absl::Span<const ContextUse> uses) const {
  if (!inputs.speed.defined() || inputs.speed.dim() != 1 || inputs.speed.size(0) < 1) {
    return absl::InvalidArgumentError("speed must be [batch] with at least one observation");
  }
  const int64_t batch = inputs.speed.size(0);
  const BevGeometry& bev = geometry_.bev;
  AUTOMOT_RETURN_IF_ERROR(
      CheckShape("bev_feature", inputs.bev_feature,
                 {batch, bev.feature_channels, bev.lidar_grid_rows, bev.lidar_grid_cols}));
  AUTOMOT_RETURN_IF_ERROR(CheckShape("target_points", inputs.target_points,
                                     {batch, geometry_.action.target_points, 2}));
  return CheckUses(batch, uses);
}

ActionOutput ActionModel::Compute(const ActionInputs& inputs, absl::Span<const ContextUse> uses,
                                  HiddenRows hidden_rows) const {
  const ActionGeometry& action = geometry_.action;
  const int64_t queries = action.tokens() - action.observation_tokens();
  const at::Tensor embeds = encoder_.Embed(inputs, queries);
  const bool all = hidden_rows == HiddenRows::kAll;
  const at::Tensor hidden = expert_.Run(embeds, uses, all ? action.tokens() : queries);
  const at::Tensor rows = hidden.narrow(1, hidden.size(1) - queries, queries);
  ActionOutput output;
  output.decision = decision_head_.Run(rows.narrow(1, 0, action.decision_tokens));
  output.route_raw = route_head_.Run(rows.narrow(1, action.decision_tokens, action.route_points));
  output.route = RoutePoints(output.route_raw);
  output.wp_offsets =
      waypoint_head_.Run(rows.narrow(1, queries - action.waypoints, action.waypoints));
  output.waypoints = WaypointPositions(output.wp_offsets);
  if (all) output.hidden = hidden;
  return output;
}

absl::StatusOr<ActionOutput> ActionModel::Plan(const ActionInputs& inputs,
                                               absl::Span<const ContextUse> uses,
                                               HiddenRows hidden_rows) const {
  if (options_.decision_only) {
    return absl::FailedPreconditionError("the action expert was loaded for decisions only");
  }
  AUTOMOT_RETURN_IF_ERROR(CheckInputs(inputs, uses));
  return CatchTorch("running the action expert", [&]() -> absl::StatusOr<ActionOutput> {
    ActionOutput output = Compute(inputs, uses, hidden_rows);
    output.decision = ToHost(output.decision);
    for (at::Tensor* tensor :
         {&output.route_raw, &output.route, &output.wp_offsets, &output.waypoints}) {
      *tensor = tensor->cpu();
    }
    return output;
  });
}

absl::StatusOr<DecisionHead::Result> ActionModel::Decide(const ActionInputs& inputs,
                                                         absl::Span<const ContextUse> uses) const {
  AUTOMOT_RETURN_IF_ERROR(CheckInputs(inputs, uses));
  return CatchTorch("decoding a decision", [&]() -> absl::StatusOr<DecisionHead::Result> {
    const int64_t rows = geometry_.action.decision_tokens;
    const at::Tensor hidden = expert_.Run(encoder_.Embed(inputs, rows), uses, rows);
    return ToHost(decision_head_.Run(hidden));
  });
}

}  // namespace automot::model
