// One model with one observation and one context of a given length, all random.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/model/action_model.h"
#include "common/model/step_storage.h"
#include "tests/benchmark/temporary_checkpoint/temporary_checkpoint.h"

namespace automot::benchmarks {

struct CaseOptions {
  std::string preset;      // nano | tiny | published
  std::string checkpoint;  // directory; empty: a random one of the preset, in a temporary folder
  std::string dtype = "float32";
  int64_t prefix = 0;  // tokens
  int64_t batch = 8;   // of the batched step
};

// Throws std::runtime_error for what cannot be made.
class ActionCase {
 public:
  explicit ActionCase(const CaseOptions& options);
  ~ActionCase();
  ActionCase(const ActionCase&) = delete;
  ActionCase& operator=(const ActionCase&) = delete;

  // One vehicle. Returns the waypoints, metres.
  std::vector<double> Step();
  // `batch` vehicles, each with a context of its own.
  void BatchStep();

  // Where the other implementation finds the same weights, observation and context.
  const std::string& directory() const { return directory_; }
  std::string inputs_path() const { return directory_ + "/benchmark_inputs.safetensors"; }
  const model::ActionModel& model() const { return *model_; }
  model::StepStorageStats storage() const { return storage_.stats(); }

 private:
  void MakeCheckpoint(const CaseOptions& options);
  void MakeInputs(const CaseOptions& options);
  void MakeContexts(const CaseOptions& options);
  void WriteInputs() const;

  std::string directory_;
  TemporaryCheckpoint temporary_;  // where none was given
  std::unique_ptr<const model::ActionModel> model_;
  model::ActionInputs inputs_;          // of the batch; the first is the single vehicle's
  at::Tensor full_keys_, full_values_;  // [layers, prefix, kv heads, head_dim] of the first context
  std::vector<std::vector<at::Tensor>> memory_;  // what the contexts borrow
  std::vector<model::ActionContext> contexts_;
  model::StepStorage storage_;
};

}  // namespace automot::benchmarks
