// AdamW, clipping of gradients and the moving average of the weights, with all of their state in
// plain tensors: what a resumed training needs to take the very next step.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tools/train/parameters.h"

namespace automot::train {

struct OptimizerOptions {
  double peak_rate = 1e-3;
  double final_rate = 2e-5;
  int64_t warm_up_steps = 500;
  int64_t steps = 30000;
  double beta1 = 0.9, beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.0;
  double clip_norm = 1.0;
  double ema = 0.999;  // share of the old average, less in the first steps
};

// Linear warm-up, then half a cosine from peak to final. step counts from 0.
double LearningRate(const OptimizerOptions& options, int64_t step);

// Not thread-safe. Works on the tensors of `parameters` that are trained, and averages them and the
// statistics of batch normalisation.
class Optimizer {
 public:
  // parameters: borrowed; Train has been called.
  Optimizer(Parameters& parameters, const OptimizerOptions& options);

  // Uses and forgets the gradients. Returns their norm before clipping.
  double Step(int64_t step);

  // Averages of the trained tensors and statistics, by name.
  const TensorMap& average() const { return average_; }
  // Everything that Step changes: "param.", "first.", "second.", "average." and a name.
  TensorMap State() const;
  // INVALID_ARGUMENT naming a tensor that is missing or of another shape.
  absl::Status Restore(const TensorMap& state);

 private:
  double Clip(std::vector<at::Tensor>& gradients) const;
  void Average(int64_t step);

  Parameters& parameters_;
  const OptimizerOptions options_;
  std::vector<std::string> names_;                           // of the trained
  std::vector<at::Tensor> values_, first_, second_, taken_;  // one each; taken: steps, float32
  TensorMap average_;
};

}  // namespace automot::train
