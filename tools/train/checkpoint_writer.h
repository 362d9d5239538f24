// Writes a trained checkpoint in the official layout (spec 6), with what a resumed training needs
// beside it.
#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/checkpoint/safetensors.h"
#include "tools/train/parameters.h"

namespace automot::train {

inline constexpr char kStateFile[] = "training_state.safetensors";

struct TrainedCheckpoint {
  std::string documents;  // directory whose configs and tokenizer are copied
  TensorMap tensors;      // all of model.safetensors
  TensorMap average;      // ema.safetensors; empty: none
  TensorMap state;        // training_state.safetensors; empty: none
  std::map<std::string, std::string> state_metadata;
  model::DType dtype = model::DType::kF32;  // of stored floats, but the state's
  std::string weights_note = "trained";     // in automot_dims.json
};

// `directory` is the old checkpoint or the whole new one, whenever the process ends: everything is
// written beside it and exchanged in one step. Services take it as it is, with or without
// --use-ema.
absl::Status WriteTrainedCheckpoint(const TrainedCheckpoint& checkpoint,
                                    const std::string& directory);

// A file of tensors as WriteTrainedCheckpoint writes it, on the CPU.
struct StoredState {
  TensorMap tensors;
  std::map<std::string, std::string> metadata;
};
absl::StatusOr<StoredState> ReadTrainingState(const std::string& checkpoint_directory);

}  // namespace automot::train
