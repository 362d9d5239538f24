#include "common/tokenizer/prompt.h"

#include <cmath>

#include "absl/strings/str_format.h"
#include "common/checkpoint/text.h"
#include "common/status/status_macros.h"

namespace automot::model {
namespace {

constexpr double kMaxMagnitude = 1e6;
constexpr std::string_view kWhiteSpace = " \t\r\n\v\f";

absl::Status CheckNumber(std::string_view field, double value) {
  if (std::abs(value) <= kMaxMagnitude) return absl::OkStatus();
  return absl::InvalidArgumentError(
      Concat(field, ": ", value, " is not a finite number of magnitude at most ", kMaxMagnitude));
}

}  // namespace

absl::StatusOr<std::string> FormatInstruction(const std::array<Vec2, 2>& target_points,
                                              double speed_mps) {
  for (const Vec2& point : target_points) {
    AUTOMOT_RETURN_IF_ERROR(CheckNumber("target_points.x", point.x));
    AUTOMOT_RETURN_IF_ERROR(CheckNumber("target_points.y", point.y));
  }
  AUTOMOT_RETURN_IF_ERROR(CheckNumber("speed_mps", speed_mps));
  return absl::StrFormat(
      "Your current and next target point is (%.6f, %.6f), (%.6f, %.6f), and your current velocity "
      "is %.2f m/s. "
      "Predict the driving actions ( now, +1s, +2s) and plan the trajectory for the next 3 "
      "seconds.",
      target_points[0].x, target_points[0].y, target_points[1].x, target_points[1].y, speed_mps);
}

std::string StripMarkers(std::string_view instruction) {
  bool stripped = true;
  while (stripped) {
    stripped = false;
    const size_t start = instruction.find_first_not_of(kWhiteSpace);
    instruction.remove_prefix(start == std::string_view::npos ? instruction.size() : start);
    for (const std::string_view marker : {"<image>", "<lidar>", "<front>", "<bev>"}) {
      if (!instruction.starts_with(marker)) continue;
      instruction.remove_prefix(marker.size());
      stripped = true;
    }
  }
  return std::string(instruction.substr(0, instruction.find_last_not_of(kWhiteSpace) + 1));
}

absl::StatusOr<PromptIds> BuildPromptIds(const Tokenizer& tokenizer, std::string_view instruction) {
  const auto im_end = tokenizer.TokenId("<|im_end|>");
  if (!im_end) return absl::FailedPreconditionError("tokenizer.json: no token <|im_end|>");
  PromptIds ids;
  AUTOMOT_ASSIGN_OR_RETURN(ids.prefix, tokenizer.Encode(kPromptPrefix));
  AUTOMOT_ASSIGN_OR_RETURN(ids.instruction,
                           tokenizer.Encode(StripMarkers(instruction), /*allow_special=*/false));
  ids.instruction.push_back(*im_end);
  return ids;
}

}  // namespace automot::model
