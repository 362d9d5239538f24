#include "tools/train/run_settings.h"

#include "absl/strings/str_cat.h"
#include "common/checkpoint/json_file.h"
#include "common/status/status_macros.h"

namespace automot::train {
namespace {

absl::Status CheckAtLeast(const char* name, int64_t value, int64_t low) {
  if (value >= low) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, " is ", value, ", must be at least ", low));
}

}  // namespace

absl::Status ValidateSettings(const TrainOptions& options) {
  AUTOMOT_RETURN_IF_ERROR(ValidateSampler(options.sampler));
  const bool action = options.stage == Stage::kAction;
  if (options.action.train_understanding && !action) {
    return absl::InvalidArgumentError("train_understanding is of the stage action alone");
  }
  if (!options.sampler.left_out_families.empty() && action) {
    return absl::InvalidArgumentError("left_out_families is of the stage understanding alone");
  }
  AUTOMOT_RETURN_IF_ERROR(CheckAtLeast("steps", options.optimizer.steps, 1));
  AUTOMOT_RETURN_IF_ERROR(CheckAtLeast("batch", options.action.batch, 1));
  AUTOMOT_RETURN_IF_ERROR(CheckAtLeast("warm_up_steps", options.optimizer.warm_up_steps, 0));
  AUTOMOT_RETURN_IF_ERROR(CheckAtLeast("log_every", options.log_every, 1));
  AUTOMOT_RETURN_IF_ERROR(CheckAtLeast("save_every", options.save_every, 1));
  AUTOMOT_RETURN_IF_ERROR(CheckAtLeast("validation_batches", options.validation_batches, 1));
  AUTOMOT_RETURN_IF_ERROR(CheckAtLeast("threads", options.threads, 1));
  if (options.optimizer.ema < 0.0 || options.optimizer.ema >= 1.0) {
    return absl::InvalidArgumentError(
        absl::StrCat("ema is ", options.optimizer.ema, ", must be in [0, 1)"));
  }
  if (options.optimizer.clip_norm <= 0.0) {
    return absl::InvalidArgumentError(
        absl::StrCat("clip_norm is ", options.optimizer.clip_norm, ", must be above 0"));
  }
  return absl::OkStatus();
}

std::string SettingsText(const TrainOptions& options) {
  const SamplerOptions& s = options.sampler;
  const ActionObjectiveOptions& a = options.action;
  const OptimizerOptions& o = options.optimizer;
  const nlohmann::ordered_json settings = {
      {"stage", options.stage == Stage::kAction ? "action" : "understanding"},
      {"seed", s.seed},
      {"batch", a.batch},
      {"steps", o.steps},
      {"learning_rate", o.peak_rate},
      {"final_learning_rate", o.final_rate},
      {"warm_up_steps", o.warm_up_steps},
      {"beta1", o.beta1},
      {"beta2", o.beta2},
      {"epsilon", o.epsilon},
      {"weight_decay", o.weight_decay},
      {"clip_norm", o.clip_norm},
      {"ema", o.ema},
      {"decision_weight", a.decision_weight},
      {"waypoint_weight", a.waypoint_weight},
      {"route_weight", a.route_weight},
      {"speed_weight", a.speed_weight},
      {"batch_statistics", a.batch_statistics},
      {"train_understanding", a.train_understanding},
      {"left_out_families", s.left_out_families},
      {"max_staleness_us", s.max_staleness_us},
      {"plans_per_context", s.plans_per_context},
      {"braking_share", s.braking_share},
      {"lidar_dropout", s.lidar_dropout},
      {"half_sweep", s.half_sweep},
      {"camera_dropout", s.camera_dropout},
      {"history_dropout", s.history_dropout},
      {"frame_dropout", s.frame_dropout},
      {"context_dropout", s.context_dropout},
      {"flip", s.flip}};
  return settings.dump();
}

absl::Status CompareSettings(const std::string& stored, const std::string& now) {
  AUTOMOT_ASSIGN_OR_RETURN(const nlohmann::json before,
                           model::ParseJson(stored, "stored settings"));
  AUTOMOT_ASSIGN_OR_RETURN(const nlohmann::json wanted, model::ParseJson(now, "settings"));
  for (const auto& [name, value] : wanted.items()) {
    const auto it = before.find(name);
    if (it != before.end() && *it == value) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(name, " is ", value.dump(), ", the run that is resumed has ",
                     it == before.end() ? std::string("none") : it->dump()));
  }
  return absl::OkStatus();
}

}  // namespace automot::train
