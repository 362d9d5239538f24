#include <c10/core/InferenceMode.h>

#include <map>

#include "common/model/action_model.h"
#include "common/model/bev/bev_encoder.h"
#include "common/status/status_macros.h"
#include "tools/train/context_maker.h"
#include "tools/train/losses.h"
#include "tools/train/objective.h"

namespace automot::train {
namespace {

class ActionObjective final : public Objective {
 public:
  ActionObjective(const model::Checkpoint& checkpoint, at::Device device,
                  const ActionObjectiveOptions& options)
      : checkpoint_(checkpoint),
        device_(device),
        options_(options),
        rotary_(checkpoint.geometry().text, device) {}

  absl::StatusOr<StepResult> Run(const Parameters& parameters, const Sampler& sampler,
                                 BatchLoader& loader, int64_t step, bool training) override {
    std::vector<PlanSample> samples;
    for (int64_t i = 0; i < options_.batch; ++i) samples.push_back(sampler.Plan(step, i));
    AUTOMOT_ASSIGN_OR_RETURN(const std::vector<ContextLayers> layers,
                             Contexts(parameters, loader, samples));
    AUTOMOT_ASSIGN_OR_RETURN(const PlanBatch batch, loader.Load(samples));
    ParameterSource source(parameters, training && options_.batch_statistics);
    const model::ActionContext context = StackContexts(parameters.geometry(), rotary_, layers);
    return Losses(source, loader, batch, context);
  }

 private:
  // Of the weights as they are at this step where they are trained, else of the checkpoint's.
  absl::StatusOr<std::vector<ContextLayers>> Contexts(const Parameters& parameters,
                                                      BatchLoader& loader,
                                                      const std::vector<PlanSample>& samples) {
    if (options_.train_understanding) {
      ParameterSource source(parameters);
      AUTOMOT_ASSIGN_OR_RETURN(const auto maker,
                               ContextMaker::Load(source, loader, /*cache_bytes=*/0));
      return maker->Make(samples);
    }
    const c10::InferenceMode inference;
    // Features are kept per split: frames are numbered within one.
    std::unique_ptr<ContextMaker>& maker = makers_[&loader];
    if (maker == nullptr) {
      model::WeightReader reader(checkpoint_, {.device = device_},
                                 model::ModelPart::kUnderstanding);
      AUTOMOT_ASSIGN_OR_RETURN(maker, ContextMaker::Load(reader, loader, options_.cache_bytes));
    }
    return maker->Make(samples);
  }

  absl::StatusOr<StepResult> Losses(ParameterSource& source, BatchLoader& loader,
                                    const PlanBatch& batch, const model::ActionContext& context) {
    AUTOMOT_ASSIGN_OR_RETURN(const auto bev, model::BevEncoder::FromWeights(source));
    AUTOMOT_ASSIGN_OR_RETURN(
        const auto action,
        model::ActionModel::FromWeights(source, loader.tokenizer(),
                                        {source.options(), model::DecisionLogits::kFull}));
    AUTOMOT_ASSIGN_OR_RETURN(const model::FutureSpeedHead speeds,
                             model::FutureSpeedHead::Load(source));
    const auto place = [&](const at::Tensor& tensor) { return tensor.to(device_); };
    const model::ActionInputs inputs{bev->Compute(batch.rgb, batch.lidar_counts),
                                     place(batch.target_points), place(batch.speed)};
    const model::ContextUse use{.context = &context};
    const model::ActionOutput output = action->Compute(inputs, {&use, 1}, model::HiddenRows::kAll);
    const int64_t speed_row = source.geometry().action.observation_tokens() - 1;
    const at::Tensor decision = TokenLoss(output.decision.logits, place(batch.decisions));
    const at::Tensor waypoint = WaypointLoss(output.wp_offsets, place(batch.waypoints));
    const at::Tensor route = RouteLoss(output.route, place(batch.route));
    const at::Tensor speed =
        SpeedLoss(speeds.Run(output.hidden.select(1, speed_row)), place(batch.future_speeds));
    const auto errors = WaypointErrors(output.waypoints, place(batch.waypoints));
    const at::Tensor labels = place(batch.decisions);
    const at::Tensor right =
        (output.decision.ids.eq(labels) | labels.eq(kIgnoredLabel)).all(-1).to(at::kFloat).mean();
    return StepResult{options_.decision_weight * decision + options_.waypoint_weight * waypoint +
                          options_.route_weight * route + options_.speed_weight * speed,
                      {{"decision", decision.item<double>()},
                       {"waypoint", waypoint.item<double>()},
                       {"route", route.item<double>()},
                       {"speed", speed.item<double>()},
                       {"l2_1s_m", errors[0]},
                       {"l2_2s_m", errors[1]},
                       {"l2_3s_m", errors[2]},
                       {"decisions_right", right.item<double>()}}};
  }

  const model::Checkpoint& checkpoint_;
  const at::Device device_;
  const ActionObjectiveOptions options_;
  const model::MultiAxisRotary rotary_;
  std::map<const BatchLoader*, std::unique_ptr<ContextMaker>> makers_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Objective>> MakeActionObjective(
    const model::Checkpoint& checkpoint, at::Device device, const ActionObjectiveOptions& options) {
  return std::unique_ptr<Objective>(std::make_unique<ActionObjective>(checkpoint, device, options));
}

}  // namespace automot::train
