// The model revision: one digest for all that decides what a checkpoint computes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/checkpoint/safetensors.h"

namespace automot::model {

// 32 lower-case hex digits. XXH3-128 over a manifest with one line per tensor (canonical name,
// dtype, shape, XXH3-128 of the bytes), in the order given, followed by `side_files`. `tensors`
// must be sorted by name; `hashes` must have each of them.
std::string ComputeRevision(const std::vector<const TensorView*>& tensors,
                            const TensorHashes& hashes, std::string_view side_files);

}  // namespace automot::model
