// What a stage of training minimises.
#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/checkpoint/checkpoint.h"
#include "tools/train/batch_loader.h"
#include "tools/train/parameters.h"
#include "tools/train/sampler.h"

namespace automot::train {

struct StepResult {
  at::Tensor loss;                                     // scalar
  std::vector<std::pair<std::string, double>> values;  // what is logged, in one order
};

// Not thread-safe.
class Objective {
 public:
  virtual ~Objective() = default;
  // The loss of the samples that `sampler` draws for `step`. Keeps gradients where grad mode is on.
  // training: false leaves the stored statistics alone. Throws LibTorch's exceptions.
  virtual absl::StatusOr<StepResult> Run(const Parameters& parameters, const Sampler& sampler,
                                         BatchLoader& loader, int64_t step, bool training) = 0;
};

struct ActionObjectiveOptions {
  int64_t batch = 32;
  double decision_weight = 0.4;
  double waypoint_weight = 2.0;
  double route_weight = 1.0;
  double speed_weight = 0.5;
  bool batch_statistics = true;
  bool train_understanding = false;        // gradients go on into the understanding expert
  int64_t cache_bytes = int64_t{2} << 30;  // of vision features, per split
};
// The action expert and its BEV encoder on contexts of the understanding expert, which is frozen
// unless it is trained with them.
absl::StatusOr<std::unique_ptr<Objective>> MakeActionObjective(
    const model::Checkpoint& checkpoint, at::Device device, const ActionObjectiveOptions& options);

// The understanding expert on questions about the scene, `batch` at a time.
std::unique_ptr<Objective> MakeUnderstandingObjective(int64_t batch);

}  // namespace automot::train
