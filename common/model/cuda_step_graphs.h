// The action model's step as CUDA graphs: one launch per step instead of some two thousand.
#pragma once

#include <c10/core/Stream.h>

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/model/action_model.h"

namespace automot::model {

// One graph per pair of them; a step takes the smallest that holds it.
struct StepBuckets {
  std::vector<int64_t> batches = {1, 2, 4, 8};  // vehicles, ascending
  std::vector<int64_t> prefixes = {512, 768};   // tokens, ascending
};

// Owns static inputs, contexts and outputs per bucket. A step uploads from pinned memory, launches
// one graph and waits for one event at its end; nothing in between waits for the device. A context
// is copied to its slot on the device only when the slot held another one. One thread at a time,
// which runs what feeds it (the BEV encoder) on `stream()` as well.
class CudaStepGraphs {
 public:
  // Captures every bucket. FAILED_PRECONDITION where the build or the model has no CUDA.
  // model: borrowed.
  static absl::StatusOr<std::unique_ptr<CudaStepGraphs>> Capture(const ActionModel& model,
                                                                 const StepBuckets& buckets);
  virtual ~CudaStepGraphs() = default;

  // As ActionModel::Plan; every use has one observation. Inputs on host or device. Contexts are
  // compared by `generation`. NOT_FOUND where no bucket holds batch or prefix: run the model
  // itself.
  virtual absl::StatusOr<ActionOutput> Plan(const ActionInputs& inputs,
                                            absl::Span<const ContextUse> uses) = 0;
  virtual c10::Stream stream() const = 0;
};

}  // namespace automot::model
