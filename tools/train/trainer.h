// The training loop: steps, progress, validation, checkpoints, and where it goes on.
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "common/checkpoint/safetensors.h"
#include "tools/train/objective.h"
#include "tools/train/optimizer.h"

namespace automot::train {

enum class Stage : uint8_t { kUnderstanding, kAction };

struct TrainOptions {
  Stage stage = Stage::kAction;
  std::string init;     // checkpoint directory to begin with
  std::string dataset;  // directory with train/ and, where wanted, validation/
  std::string out;      // run directory: checkpoint/, final/, losses.csv, summary.json
  bool resume = false;  // go on with out/checkpoint
  std::string device = "cpu";
  int threads = 1;
  SamplerOptions sampler;  // history: replaced by the checkpoint's
  ActionObjectiveOptions action;
  OptimizerOptions optimizer;
  int64_t log_every = 20;
  int64_t save_every = 500;
  int64_t validate_every = 0;  // 0: never
  int64_t validation_batches = 8;
  int64_t stop_after = 0;  // ends early, saved, after this step; 0: never. To be resumed.
  model::DType final_dtype = model::DType::kF32;
};

// Runs to the end, or to stop_after. FAILED_PRECONDITION where `out` holds a run and `resume` is
// false; INVALID_ARGUMENT naming what differs from the run that is resumed; INTERNAL for a loss
// that is not finite. report: one line of progress at a time.
absl::Status RunTraining(const TrainOptions& options,
                         const std::function<void(const std::string& line)>& report);

}  // namespace automot::train
