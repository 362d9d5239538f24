// From decision token ids to text (spec 5.1). The text is parsed into a Decision by control.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "common/checkpoint/geometry.h"
#include "common/tokenizer/tokenizer.h"

namespace automot::model {

// From the first im_start to the next im_end, both included; or up to the next im_start; or to the
// end. Without an im_start: all ids.
absl::Span<const int64_t> DecisionSpan(absl::Span<const int64_t> ids, const TokenIds& tokens);

struct DecisionText {
  std::string raw;   // the span as decoded, markers included
  std::string text;  // without the markers' spellings
  // One per comma-separated part of `text`: product of its tokens' probabilities, 0..1; commas and
  // markers do not count. A part without tokens has 0.
  std::vector<float> part_probabilities;
};

// probabilities: one per id, or empty (then every part has 0).
DecisionText DecodeDecision(absl::Span<const int64_t> ids, absl::Span<const float> probabilities,
                            const TokenIds& tokens, const Tokenizer& tokenizer);

}  // namespace automot::model
