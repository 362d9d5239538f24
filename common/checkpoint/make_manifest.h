// Hashes the tensors of a checkpoint: what a manifest is made of and compared with.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/checkpoint/checkpoint_files.h"
#include "common/checkpoint/manifest.h"
#include "common/checkpoint/safetensors.h"

namespace automot::model {

// Reads all of `tensors` once, as SafetensorsFile::Stream does, and logs its progress. Each tensor
// lies in one of `files`; null entries are skipped.
TensorHashes HashTensors(const std::vector<const TensorView*>& tensors,
                         const std::vector<const SafetensorsFile*>& files);

// The manifest of the directory's tensor files, of ema.safetensors too where there is one. Reads
// every byte. Errors as OpenBaseFiles has them.
absl::StatusOr<CheckpointManifest> MakeManifest(const std::string& directory);

// INVALID_ARGUMENT listing every tensor that only the manifest or only the files have. `ema` is
// null where it is not used.
absl::Status CheckManifestNames(const CheckpointManifest& manifest, const TensorFiles& base,
                                const SafetensorsFile* ema);

// One line for each difference, naming the tensor; empty for equal manifests.
std::vector<std::string> ManifestDifferences(const CheckpointManifest& stored,
                                             const CheckpointManifest& found);

}  // namespace automot::model
