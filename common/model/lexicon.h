// The few vocabulary entries that a decision is made of: markers, comma and decision words
// (spec 5.1).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "common/checkpoint/geometry.h"
#include "common/tokenizer/tokenizer.h"

namespace automot::model {

struct Lexicon {
  std::vector<int64_t> ids;  // ascending; empty where the whole vocabulary must be used
  std::string why_full;      // set where ids is empty: which word does not fit, for the log

  bool usable() const { return !ids.empty(); }
};

// Each word counts with its leading space. One that is not exactly one token makes the lexicon
// unusable: its slots would need the rest of the vocabulary.
Lexicon MakeLexicon(const Tokenizer& tokenizer, const TokenIds& tokens,
                    absl::Span<const std::string> words);

}  // namespace automot::model
