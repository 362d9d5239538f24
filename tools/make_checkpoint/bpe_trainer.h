// Trains a byte-level BPE on a small text. Deterministic: ties are broken by the bytes of the
// pieces.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace automot::model {

struct TrainedBpe {
  std::vector<std::string> pieces;  // raw bytes, by id; the first 256 are the single bytes
  std::vector<std::pair<std::string, std::string>> merges;  // raw bytes, by rank
};

// Merges the most frequent pair until every word that `split_pattern` finds in `corpus` is one
// piece, or there are `max_pieces`.
absl::StatusOr<TrainedBpe> TrainBpe(std::string_view corpus, const std::string& split_pattern,
                                    size_t max_pieces);

}  // namespace automot::model
