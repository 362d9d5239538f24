// automot-train: teaches a checkpoint from recorded driving (docs/training.md).
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <climits>
#include <cstdio>

#include "tools/train/trainer.h"

namespace automot::train {
namespace {

struct Flags {
  TrainOptions options;
  std::string stage = "action";
  std::string final_dtype = "float32";
  double max_staleness_s = 1.0;
  int64_t feature_cache_mib = 2048;
};

void AddRunFlags(CLI::App& app, Flags& flags) {
  TrainOptions& o = flags.options;
  const auto plain = [&](const char* name, auto& value, const char* what) {
    app.add_option(name, value, what)->capture_default_str();
  };
  app.add_option("--stage", flags.stage, "What is trained")
      ->check(CLI::IsMember({"understanding", "action"}))
      ->capture_default_str();
  app.add_option("--init", o.init, "Checkpoint to begin with")->required();
  app.add_option("--data", o.dataset, "Dataset: folders train/ and validation/")->required();
  app.add_option("--out", o.out, "Run directory")->required();
  app.add_flag("--resume", o.resume, "Go on with the run in --out, or begin it");
  plain("--device", o.device, "cpu, cuda or cuda:N");
  plain("--threads", o.threads, "Threads of the processor");
  plain("--log-every", o.log_every, "Steps between lines of progress");
  plain("--save-every", o.save_every, "Steps between checkpoints");
  plain("--validate-every", o.validate_every, "Steps between validations; 0: never");
  plain("--validation-batches", o.validation_batches, "Batches of one validation");
  plain("--stop-after", o.stop_after, "Save and end after this step; 0: never");
  app.add_option("--final-dtype", flags.final_dtype, "Type of the weights in final/")
      ->check(CLI::IsMember({"float32", "bfloat16"}))
      ->capture_default_str();
}

void AddRecipeFlags(CLI::App& app, Flags& flags) {
  OptimizerOptions& o = flags.options.optimizer;
  ActionObjectiveOptions& a = flags.options.action;
  SamplerOptions& s = flags.options.sampler;
  const auto plain = [&](const char* name, auto& value, const char* what) {
    app.add_option(name, value, what)->capture_default_str();
  };
  plain("--seed", s.seed, "Of the samples and their disturbances");
  plain("--batch", a.batch, "Samples per step");
  plain("--steps", o.steps, "Steps of the whole run");
  plain("--learning-rate", o.peak_rate, "After the warm-up");
  plain("--final-learning-rate", o.final_rate, "At the end of the cosine");
  plain("--warm-up-steps", o.warm_up_steps, "Steps of the linear warm-up");
  plain("--weight-decay", o.weight_decay, "Of AdamW");
  plain("--clip-norm", o.clip_norm, "Largest norm of all gradients");
  plain("--ema", o.ema, "Share of the old in the moving average of the weights");
  plain("--decision-weight", a.decision_weight, "Of the decision loss");
  plain("--waypoint-weight", a.waypoint_weight, "Of the waypoint loss");
  plain("--route-weight", a.route_weight, "Of the route loss");
  plain("--speed-weight", a.speed_weight, "Of the future-speed loss");
  app.add_flag("!--stored-statistics", a.batch_statistics,
               "Normalise by the stored statistics instead of each batch's");
  app.add_flag("--train-understanding", a.train_understanding,
               "Stage action: the understanding expert is not frozen (no cache of its features)");
  app.add_option("--leave-out-family", s.left_out_families,
                 "Stage understanding: family of questions that is never taught (repeatable)");
  plain("--max-staleness-s", flags.max_staleness_s, "Oldest context, seconds");
  plain("--plans-per-context", s.plans_per_context, "Samples of a batch that share one context");
  plain("--braking-share", s.braking_share, "Samples drawn from braking frames alone, 0..1");
  plain("--lidar-dropout", s.lidar_dropout, "Samples without LiDAR, 0..1");
  plain("--half-sweep", s.half_sweep, "Samples with one side's LiDAR, 0..1");
  plain("--camera-dropout", s.camera_dropout, "Samples without the current picture, 0..1");
  plain("--history-dropout", s.history_dropout, "Contexts of the newest frame alone, 0..1");
  plain("--frame-dropout", s.frame_dropout, "Older frames missing, 0..1");
  plain("--context-dropout", s.context_dropout, "Samples that see nothing of their context, 0..1");
  plain("--flip", s.flip, "Samples with left and right exchanged, 0..1");
  plain("--feature-cache-mib", flags.feature_cache_mib, "Memory for vision features");
}

}  // namespace
}  // namespace automot::train

int main(int argc, char** argv) {
  using namespace automot::train;
  // Keeps freed activations for the next step: given back, the kernel would clear every page anew.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  Flags flags;
  CLI::App app("Trains an AutoMoT checkpoint from recorded driving.");
  app.set_config("--config");
  AddRunFlags(app, flags);
  AddRecipeFlags(app, flags);
  CLI11_PARSE(app, argc, argv);
  TrainOptions& options = flags.options;
  options.stage = flags.stage == "action" ? Stage::kAction : Stage::kUnderstanding;
  options.final_dtype =
      flags.final_dtype == "bfloat16" ? automot::model::DType::kBF16 : automot::model::DType::kF32;
  options.sampler.max_staleness_us = static_cast<int64_t>(flags.max_staleness_s * 1e6 + 0.5);
  options.action.cache_bytes = flags.feature_cache_mib << 20;
  const absl::Status status = RunTraining(options, [](const std::string& line) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
  });
  if (status.ok()) return 0;
  std::fprintf(stderr, "automot-train: %s\n", std::string(status.message()).c_str());
  return 1;
}
