// The one prompt of the model (spec 2.2): a fixed prefix, the images, and the instruction with the
// numbers of the moment.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/tokenizer/tokenizer.h"
#include "common/types/geometry.h"

namespace automot::model {

inline constexpr std::string_view kPromptPrefix =
    "<|im_start|>system\nYou are a mature and professional driver.<|im_end|>\n<|im_start|>user\n";
// Between a question about the scene and its answer (spec 2.5).
inline constexpr std::string_view kAnswerHead = "<|im_end|>\n<|im_start|>assistant\n";
// Name of prefix plus instruction; snapshots made with another template are not comparable.
inline constexpr std::string_view kPromptTemplate = "automot-v1";

// target points: ego frame, metres, current then next; speed_mps: metres per second.
// INVALID_ARGUMENT unless all are finite and at most 1e6 in magnitude.
absl::StatusOr<std::string> FormatInstruction(const std::array<Vec2, 2>& target_points,
                                              double speed_mps);

// Drops leading `<image>`, `<lidar>`, `<front>` and `<bev>` markers and white space, and trailing
// white space.
std::string StripMarkers(std::string_view instruction);

struct PromptIds {
  std::vector<int64_t> prefix;       // text before the images
  std::vector<int64_t> instruction;  // text after them, closing im_end included
};

// Encodes prefix and instruction apart, so that no merge crosses the images. Markers are stripped;
// special tokens spelled out in the instruction are plain text.
absl::StatusOr<PromptIds> BuildPromptIds(const Tokenizer& tokenizer, std::string_view instruction);

}  // namespace automot::model
