// Several sequences laid end to end, without padding: one product serves the rows of all, attention
// runs per sequence.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "common/model/prompt_sequence.h"
#include "common/model/vision_tower.h"

namespace automot::model {

// A sequence and what its image rows hold. Borrowed.
struct SequenceInput {
  const PromptSequence* sequence = nullptr;
  absl::Span<const ImageFeature> features;
};

struct JointSequence {
  struct Part {
    int64_t begin = 0;
    int64_t rows = 0;
  };
  PromptSequence all;  // ids, positions and image rows; spans and next_position stay empty
  std::vector<ImageFeature> features;
  std::vector<Part> parts;  // one per sequence
};

JointSequence Join(absl::Span<const SequenceInput> sequences);

}  // namespace automot::model
