// The tokenizer of generated checkpoints: a byte-level BPE trained on a small text about driving,
// in which each word of the prompt and each decision word with its leading space is one token.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "common/checkpoint/geometry.h"

namespace automot::model {

struct DrivingTokenizer {
  std::string json;  // tokenizer.json
  TokenIds ids;
  int64_t end_of_text = 0;
  int64_t video_pad = 0;
  int64_t size = 0;  // one more than the largest id
};

// Added tokens have the published order. `im_start` < 0 puts them right after the trained pieces;
// otherwise there, as in the published vocabulary, with a gap below. INVALID_ARGUMENT when they
// would collide with the pieces.
absl::StatusOr<DrivingTokenizer> MakeDrivingTokenizer(int64_t im_start = -1);

}  // namespace automot::model
