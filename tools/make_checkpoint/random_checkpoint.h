// Writes a checkpoint of any geometry in the official layout (spec 6), filled with random numbers:
// the embedded default, test fixtures, and stand-ins of the published shapes for speed
// measurements. Its weights have learnt nothing.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "common/checkpoint/geometry.h"
#include "common/checkpoint/safetensors.h"

namespace automot::model {

struct RandomCheckpointOptions {
  std::string directory;   // made if absent
  ModelGeometry geometry;  // as given by PresetGeometry or CompleteGeometry (presets.h)
  uint64_t seed = 1;
  DType dtype = DType::kF32;   // F32 or BF16, of all but the counters
  bool store_lm_head = false;  // write the tied copy too
  bool overwrite_trained = false;
};

// The bytes depend on the options alone, not on the machine. The tensors are written after the
// documents, so an interrupted call leaves no model.safetensors; the manifest of their hashes comes
// last. INVALID_ARGUMENT for a geometry that contradicts itself; FAILED_PRECONDITION when the
// directory holds a checkpoint that is not marked untrained and `overwrite_trained` is false.
// Memory does not grow with the geometry: one piece of one tensor is held at a time.
absl::Status WriteRandomCheckpoint(const RandomCheckpointOptions& options);

// Number of stored values, counters and a stored head left out.
int64_t CountValues(const ModelGeometry& geometry);

}  // namespace automot::model
