// The token sequence of one context: prefix text, images between their markers, instruction text,
// with M-RoPE positions and attention spans (spec 2.2, 2.4). Plain values, no tensor.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/checkpoint/geometry.h"

namespace automot::model {

inline constexpr int64_t kMaxSequenceTokens = 65536;

// Language-model tokens of one image.
struct ImageGrid {
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t tokens() const { return rows * cols; }
  friend bool operator==(const ImageGrid&, const ImageGrid&) = default;
};

enum class SpanMode : uint8_t { kCausal, kFull };

// Consecutive tokens that see everything before the span and, within it, what the mode says.
struct AttentionSpan {
  int64_t length = 0;
  SpanMode mode = SpanMode::kCausal;
  friend bool operator==(const AttentionSpan&, const AttentionSpan&) = default;
};

// How the instruction text sees itself (spec fact 0.6): kCausal as the published inference,
// kBidirectional as the published training.
enum class InstructionMask : uint8_t { kCausal, kBidirectional };

struct PromptSequence {
  std::vector<int64_t> ids;
  std::array<std::vector<int64_t>, 3> positions;  // axes t, h, w
  std::vector<int64_t> image_rows;                // index of every image_pad token
  std::vector<AttentionSpan> spans;
  int64_t next_position = 0;  // largest position + 1

  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }
};

// INVALID_ARGUMENT for an id outside [0, vocab), an image without tokens, an image marker inside
// the text, an empty instruction, or more than kMaxSequenceTokens tokens.
absl::StatusOr<PromptSequence> BuildSequence(const ModelGeometry& geometry,
                                             absl::Span<const int64_t> prefix_ids,
                                             absl::Span<const ImageGrid> images,
                                             absl::Span<const int64_t> instruction_ids,
                                             InstructionMask mask = InstructionMask::kCausal);

// Prefix and images without an instruction: what several questions share. Errors as above.
absl::StatusOr<PromptSequence> BuildScene(const ModelGeometry& geometry,
                                          absl::Span<const int64_t> prefix_ids,
                                          absl::Span<const ImageGrid> images);

// Text after a sequence whose next_position is `first_position`. Errors as above.
absl::StatusOr<PromptSequence> BuildContinuation(const ModelGeometry& geometry,
                                                 int64_t first_position,
                                                 absl::Span<const int64_t> ids);

}  // namespace automot::model
