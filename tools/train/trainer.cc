#include "tools/train/trainer.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <chrono>
#include <cmath>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/checkpoint/json_file.h"
#include "common/model/parse_options.h"
#include "common/status/status_macros.h"
#include "tools/train/checkpoint_writer.h"
#include "tools/train/loss_log.h"
#include "tools/train/run_settings.h"

namespace automot::train {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr char kStepKey[] = "step";
constexpr char kSettingsKey[] = "settings";

// A split of the dataset with what draws from it. Not movable: parts refer to each other.
struct Split {
  Dataset dataset;
  std::unique_ptr<Sampler> sampler;
  std::unique_ptr<BatchLoader> loader;
};

class Trainer {
 public:
  Trainer(const TrainOptions& options, std::function<void(const std::string&)> report)
      : options_(options), report_(std::move(report)) {}

  absl::Status Run() {
    AUTOMOT_RETURN_IF_ERROR(Open());
    LossLog log(options_.out + "/losses.csv", step_);
    begin_ = Clock::now();
    begin_step_ = step_;
    while (step_ < options_.optimizer.steps) {
      AUTOMOT_RETURN_IF_ERROR(Step(log));
      const bool stop = step_ == options_.stop_after;
      if (stop || step_ == options_.optimizer.steps || step_ % options_.save_every == 0) {
        AUTOMOT_RETURN_IF_ERROR(Save());
      }
      if (stop) return absl::OkStatus();
    }
    return Finish();
  }

 private:
  absl::Status Open();
  absl::Status OpenSplit(const std::string& name, std::unique_ptr<Split>& split);
  absl::Status CheckRule(const Dataset& dataset) const;
  absl::Status Restore();
  absl::Status Step(LossLog& log);
  absl::Status Validate(LossLog& log);
  void Report(const StepResult& result, double norm);
  absl::Status Save() const;
  absl::Status Finish() const;
  TrainedCheckpoint Snapshot() const;
  int64_t batch() const { return options_.action.batch; }
  double SamplesPerSecond() const {
    const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
    return static_cast<double>((step_ - begin_step_) * batch()) / std::max(seconds, 1e-9);
  }

  TrainOptions options_;
  const std::function<void(const std::string&)> report_;
  std::shared_ptr<const model::Checkpoint> checkpoint_;
  std::unique_ptr<const model::Tokenizer> tokenizer_;
  std::unique_ptr<Parameters> parameters_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<Split> train_, validation_;
  std::unique_ptr<Objective> objective_;
  int64_t step_ = 0;  // taken
  int64_t begin_step_ = 0;
  Clock::time_point begin_;
};

absl::Status Trainer::Open() {
  AUTOMOT_RETURN_IF_ERROR(ValidateSettings(options_));
  AUTOMOT_ASSIGN_OR_RETURN(const model::ModelOptions place,
                           model::ParseModelOptions("float32", options_.device));
  at::set_num_threads(options_.threads);
  const std::string own = options_.out + "/checkpoint";
  if (fs::exists(own) && !options_.resume) {
    return absl::FailedPreconditionError(
        absl::StrCat(options_.out, ": holds a run; --resume goes on with it"));
  }
  // Without a checkpoint of its own a resumed run begins: the same command serves both.
  const bool resumed = options_.resume && fs::exists(own);
  AUTOMOT_ASSIGN_OR_RETURN(checkpoint_, model::Checkpoint::Open(resumed ? own : options_.init));
  AUTOMOT_ASSIGN_OR_RETURN(tokenizer_, model::Tokenizer::Load(checkpoint_->tokenizer_path()));
  const model::DrivingContract& driving = checkpoint_->geometry().driving;
  options_.sampler.history_frames = driving.history_frames;
  options_.sampler.history_spacing_us = std::llround(driving.history_spacing_s * 1e6);
  AUTOMOT_RETURN_IF_ERROR(OpenSplit("train", train_));
  if (options_.validate_every > 0) AUTOMOT_RETURN_IF_ERROR(OpenSplit("validation", validation_));
  AUTOMOT_ASSIGN_OR_RETURN(Parameters loaded, Parameters::Load(*checkpoint_, place.device));
  parameters_ = std::make_unique<Parameters>(std::move(loaded));
  const bool action = options_.stage == Stage::kAction;
  const bool understanding = !action || options_.action.train_understanding;
  parameters_->Train([=](std::string_view name) {
    return (action && IsActionWeight(name)) || (understanding && IsUnderstandingWeight(name));
  });
  optimizer_ = std::make_unique<Optimizer>(*parameters_, options_.optimizer);
  if (action) {
    AUTOMOT_ASSIGN_OR_RETURN(objective_,
                             MakeActionObjective(*checkpoint_, place.device, options_.action));
  } else {
    objective_ = MakeUnderstandingObjective(batch());
  }
  std::error_code ignored;
  fs::create_directories(options_.out, ignored);
  return resumed ? Restore() : absl::OkStatus();
}

// Served by another rule than it was trained on, a model cuts corners and leaves the road.
absl::Status Trainer::CheckRule(const Dataset& dataset) const {
  const std::string& wanted = checkpoint_->geometry().driving.target_point_rule;
  for (const auto& episode : dataset.episodes) {
    const std::string& rule = episode->target_point_rule();
    if (rule.empty() || rule == wanted) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "episode ", episode->id(), " has target points by ", rule,
        ", the checkpoint declares target_point_rule ", wanted, " (automot_dims.json)"));
  }
  return absl::OkStatus();
}

absl::Status Trainer::OpenSplit(const std::string& name, std::unique_ptr<Split>& split) {
  split = std::make_unique<Split>();
  AUTOMOT_ASSIGN_OR_RETURN(split->dataset, OpenDataset(options_.dataset, name));
  AUTOMOT_RETURN_IF_ERROR(CheckRule(split->dataset));
  AUTOMOT_ASSIGN_OR_RETURN(Sampler sampler, Sampler::Create(split->dataset, options_.sampler));
  split->sampler = std::make_unique<Sampler>(std::move(sampler));
  AUTOMOT_ASSIGN_OR_RETURN(
      BatchLoader loader,
      BatchLoader::Create(split->dataset, checkpoint_->geometry(), *tokenizer_));
  split->loader = std::make_unique<BatchLoader>(std::move(loader));
  const int64_t left_out = split->sampler->left_out_questions();
  report_(absl::StrCat(name, ": ", split->dataset.episodes.size(), " episodes, ",
                       split->sampler->usable_frames(), " usable frames, ",
                       split->sampler->braking_frames(), " braking, ", split->sampler->questions(),
                       " questions",
                       left_out > 0 ? absl::StrCat(", ", left_out, " left out") : ""));
  return absl::OkStatus();
}

absl::Status Trainer::Restore() {
  AUTOMOT_ASSIGN_OR_RETURN(const StoredState stored, ReadTrainingState(checkpoint_->directory()));
  const auto settings = stored.metadata.find(kSettingsKey);
  const auto step = stored.metadata.find(kStepKey);
  if (settings == stored.metadata.end() || step == stored.metadata.end()) {
    return absl::InvalidArgumentError("the training state has no settings or no step");
  }
  AUTOMOT_RETURN_IF_ERROR(CompareSettings(settings->second, SettingsText(options_)));
  step_ = std::atoll(step->second.c_str());
  return optimizer_->Restore(stored.tensors);
}

absl::Status Trainer::Step(LossLog& log) {
  AUTOMOT_ASSIGN_OR_RETURN(
      StepResult result,
      objective_->Run(*parameters_, *train_->sampler, *train_->loader, step_, /*training=*/true));
  if (const double loss = result.loss.item<double>(); !std::isfinite(loss)) {
    return absl::InternalError(absl::StrCat("the loss of step ", step_, " is ", loss));
  }
  result.loss.backward();
  const double rate = LearningRate(options_.optimizer, step_);
  const double norm = optimizer_->Step(step_++);
  if (step_ % options_.log_every == 0 || step_ == options_.optimizer.steps) {
    result.values.insert(result.values.begin(), {"loss", result.loss.item<double>()});
    std::vector<std::pair<std::string, double>> line = result.values;
    line.insert(line.end(), {{"gradient_norm", norm}, {"learning_rate", rate}});
    AUTOMOT_RETURN_IF_ERROR(log.Add(step_ - 1, "train", line));
    Report(result, norm);
  }
  if (options_.validate_every > 0 && step_ % options_.validate_every == 0) return Validate(log);
  return absl::OkStatus();
}

// Of the weights as they are, not of their average, on samples that are the same every time.
absl::Status Trainer::Validate(LossLog& log) {
  const at::NoGradGuard no_grad;
  std::vector<std::pair<std::string, double>> sum;
  for (int64_t i = 0; i < options_.validation_batches; ++i) {
    AUTOMOT_ASSIGN_OR_RETURN(StepResult result, objective_->Run(*parameters_, *validation_->sampler,
                                                                *validation_->loader, i, false));
    result.values.insert(result.values.begin(), {"loss", result.loss.item<double>()});
    if (sum.empty()) {
      sum = result.values;
      continue;
    }
    for (size_t at = 0; at < sum.size(); ++at) sum[at].second += result.values[at].second;
  }
  std::string text = absl::StrCat("validation after step ", step_, ":");
  for (auto& [name, value] : sum) {
    value /= static_cast<double>(options_.validation_batches);
    absl::StrAppend(&text, " ", name, absl::StrFormat(" %.4f", value));
  }
  report_(text);
  sum.insert(sum.end(), {{"gradient_norm", 0.0}, {"learning_rate", 0.0}});
  return log.Add(step_ - 1, "validation", sum);
}

void Trainer::Report(const StepResult& result, double norm) {
  std::string line = absl::StrCat("step ", step_, "/", options_.optimizer.steps);
  for (const auto& [name, value] : result.values) {
    absl::StrAppend(&line, " ", name, absl::StrFormat(" %.4f", value));
  }
  const double rate = SamplesPerSecond();
  const double left =
      static_cast<double>((options_.optimizer.steps - step_) * batch()) / std::max(rate, 1e-9);
  absl::StrAppend(
      &line, absl::StrFormat(" | gradient %.3f | %.1f samples/s | ETA %dh%02dm%02ds", norm, rate,
                             static_cast<int>(left / 3600), static_cast<int>(left / 60) % 60,
                             static_cast<int>(left) % 60));
  report_(line);
}

TrainedCheckpoint Trainer::Snapshot() const {
  TrainedCheckpoint out{.documents = checkpoint_->directory(), .tensors = parameters_->tensors()};
  // Without the action expert's training a checkpoint still cannot drive.
  const bool drives = options_.stage == Stage::kAction || checkpoint_->geometry().weights_trained;
  if (!drives) out.weights_note = "understanding expert trained, action expert untrained";
  return out;
}

absl::Status Trainer::Save() const {
  TrainedCheckpoint out = Snapshot();
  out.average = optimizer_->average();
  out.state = optimizer_->State();
  out.state_metadata = {{kStepKey, absl::StrCat(step_)}, {kSettingsKey, SettingsText(options_)}};
  return WriteTrainedCheckpoint(out, options_.out + "/checkpoint");
}

// The averaged weights alone, as they are served and shipped.
absl::Status Trainer::Finish() const {
  TrainedCheckpoint out = Snapshot();
  for (const auto& [name, average] : optimizer_->average()) out.tensors[name] = average;
  out.dtype = options_.final_dtype;
  AUTOMOT_RETURN_IF_ERROR(WriteTrainedCheckpoint(out, options_.out + "/final"));
  nlohmann::json summary = nlohmann::json::parse(SettingsText(options_));
  summary["steps_taken"] = step_;
  summary["samples_per_second"] = SamplesPerSecond();
  return model::WriteTextFile(options_.out + "/summary.json", summary.dump(1) + "\n");
}

}  // namespace

absl::Status RunTraining(const TrainOptions& options,
                         const std::function<void(const std::string& line)>& report) {
  try {
    return Trainer(options, report).Run();
  } catch (const c10::Error& error) {
    return absl::InternalError(absl::StrCat("training: ", error.what_without_backtrace()));
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("training: ", error.what()));
  }
}

}  // namespace automot::train
