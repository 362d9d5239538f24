// automot_manifest.json: the content hash of every tensor, made once, so that a start need not read
// what it does not load. `automot-manifest` writes it, and `automot-make-checkpoint` with what it
// generates. Optional: without it, opening a checkpoint reads every byte.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/checkpoint/safetensors.h"

namespace automot::model {

inline constexpr char kManifestFile[] = "automot_manifest.json";

// By canonical name.
struct CheckpointManifest {
  TensorHashes tensors;      // of model.safetensors or its shards
  TensorHashes ema_tensors;  // of ema.safetensors; empty where there is none

  bool operator==(const CheckpointManifest&) const = default;
};

// NOT_FOUND when the directory has none, INVALID_ARGUMENT naming what is wrong in it.
absl::StatusOr<CheckpointManifest> ReadManifest(const std::string& directory);
absl::StatusOr<CheckpointManifest> ParseManifest(std::string_view text);

// Replaces the file as a whole.
absl::Status WriteManifest(const std::string& directory, const CheckpointManifest& manifest);

}  // namespace automot::model
