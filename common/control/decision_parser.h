// From decoded decision text to a Decision, and from token ids to the span that is decoded
// (spec 5.1). Pure; allocates nothing.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/types/span.h"
#include "common/types/observation.h"
#include "common/types/trajectory.h"

namespace automot::control {

inline constexpr std::string_view kImStartText = "<|im_start|>";
inline constexpr std::string_view kImEndText = "<|im_end|>";

// From the first im_start to the next im_end, both included; or up to, excluding, the next
// im_start; or to the end, whichever comes first. All of `ids` where there is no im_start. A view
// into `ids`.
absl::Span<const int64_t> DecisionTokenSpan(absl::Span<const int64_t> ids, int64_t im_start,
                                            int64_t im_end);

// Both marker spellings are dropped wherever they occur, the rest is stripped of ASCII white space
// and split at commas; the first three parts, stripped, become slots. Fewer parts give fewer slots;
// an empty text gives one slot with empty text.
//
//   longitudinal  stop, slow, keep, accelerate
//   lateral       turn left, slight left, go straight, slight right, turn right
//
// A slot that is exactly one of these words has it; every other text is kUnparsed. No aliases. The
// text is kept as decoded (cut at its capacity).
//
// Slot i speaks of `capture_time_us` + offsets_s[i] seconds; slots without an offset (and every
// part beyond them) are left out. part_probabilities: one per part, 0..1; those that are missing,
// and those of unparsed slots, count as 0.
Decision ParseDecision(std::string_view text, SessionTimeUs capture_time_us,
                       absl::Span<const double> offsets_s,
                       absl::Span<const float> part_probabilities = {});

}  // namespace automot::control
