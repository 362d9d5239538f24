#include "common/context/header_check.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "common/types/session_time.h"

namespace automot::context {
namespace {

absl::Status CheckFinite(const char* name, double value) {
  if (std::isfinite(value)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("header.", name, " is ", value, ", must be finite"));
}

absl::Status CheckName(const char* name, const std::string& value) {
  if (value.size() <= kMaxNameBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("header.", name, " has ", value.size(), " bytes, limit ", kMaxNameBytes));
}

absl::Status CheckPrompt(const SnapshotPrompt& prompt) {
  for (const Vec2& point : prompt.target_points) {
    AUTOMOT_RETURN_IF_ERROR(CheckFinite("prompt.target_points.x", point.x));
    AUTOMOT_RETURN_IF_ERROR(CheckFinite("prompt.target_points.y", point.y));
  }
  AUTOMOT_RETURN_IF_ERROR(CheckFinite("prompt.speed_mps", prompt.speed_mps));
  if (!prompt.pose) return absl::OkStatus();
  AUTOMOT_RETURN_IF_ERROR(CheckFinite("prompt.pose.x", prompt.pose->position.x));
  AUTOMOT_RETURN_IF_ERROR(CheckFinite("prompt.pose.y", prompt.pose->position.y));
  return CheckFinite("prompt.pose.yaw_rad", prompt.pose->yaw_rad);
}

absl::Status CheckFields(const SnapshotHeader& header) {
  if (!header.id.valid()) {
    return absl::InvalidArgumentError("header.id.version is 0, must be at least 1");
  }
  AUTOMOT_RETURN_IF_ERROR(header.layout.Validate());
  // Sums and differences with it must stay numbers, and nothing may be newer than every frame.
  if (header.capture_time_us < -kMaxSessionTimeUs || header.capture_time_us > kMaxSessionTimeUs) {
    return absl::InvalidArgumentError(
        absl::StrCat("header.capture_time_us is ", header.capture_time_us, ", must be in [",
                     -kMaxSessionTimeUs, ", ", kMaxSessionTimeUs, "]"));
  }
  if (header.frame_capture_times_us.size() > kMaxHistoryFrames) {
    return absl::InvalidArgumentError(absl::StrCat("header.frame_capture_times_us has ",
                                                   header.frame_capture_times_us.size(),
                                                   " values, limit ", kMaxHistoryFrames));
  }
  if (header.position_start < 1 || header.position_start > kMaxPositionStart) {
    return absl::InvalidArgumentError(absl::StrCat("header.position_start is ",
                                                   header.position_start, ", must be in [1, ",
                                                   kMaxPositionStart, "]"));
  }
  AUTOMOT_RETURN_IF_ERROR(CheckFinite("history_spacing_s", header.history_spacing_s));
  AUTOMOT_RETURN_IF_ERROR(CheckName("model_revision", header.model_revision));
  AUTOMOT_RETURN_IF_ERROR(CheckName("prompt_template", header.prompt_template));
  AUTOMOT_RETURN_IF_ERROR(CheckName("instruction_mask", header.instruction_mask));
  return CheckPrompt(header.prompt);
}

absl::Status CheckText(const char* name, const std::string& value, const std::string& expected) {
  if (expected.empty() || value == expected) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("header.", name, " is \"", value, "\", this planner serves \"", expected, "\""));
}

absl::Status CheckShape(const SnapshotHeader& header, const SnapshotExpectation& expected) {
  AUTOMOT_RETURN_IF_ERROR(
      CheckText("prompt_template", header.prompt_template, expected.prompt_template));
  AUTOMOT_RETURN_IF_ERROR(
      CheckText("instruction_mask", header.instruction_mask, expected.instruction_mask));
  if (expected.history_spacing_s && *expected.history_spacing_s != header.history_spacing_s) {
    return absl::FailedPreconditionError(absl::StrCat("header.history_spacing_s is ",
                                                      header.history_spacing_s, ", expected ",
                                                      *expected.history_spacing_s));
  }
  if (!expected.layout) return absl::OkStatus();
  ContextLayout wanted = *expected.layout;
  wanted.tokens = header.layout.tokens;
  if (wanted == header.layout) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("header.layout is (", header.layout.ToString(),
                                                    "), expected (", wanted.ToString(), ")"));
}

absl::Status Fenced(const char* field, uint64_t value, uint64_t expected) {
  return absl::AbortedError(
      absl::StrCat("header.id.", field, " is ", value, ", the one in force is ", expected));
}

}  // namespace

HeaderVerdict CheckHeader(const SnapshotHeader& header, const SnapshotExpectation& expected) {
  if (absl::Status s = CheckFields(header); !s.ok())
    return {HeaderRefusal::kMalformed, std::move(s)};
  const SnapshotId& id = header.id;
  if (id.session != expected.session) {
    return {HeaderRefusal::kWrongSession,
            absl::InvalidArgumentError(absl::StrCat("header.id.session is ", id.session,
                                                    ", this stream carries ", expected.session))};
  }
  if (id.episode != expected.episode) {
    return {HeaderRefusal::kWrongEpisode, Fenced("episode", id.episode, expected.episode)};
  }
  if (id.epoch != expected.epoch) {
    return {HeaderRefusal::kWrongEpoch, Fenced("epoch", id.epoch, expected.epoch)};
  }
  if (absl::Status s = CheckText("model_revision", header.model_revision, expected.model_revision);
      !s.ok()) {
    return {HeaderRefusal::kWrongRevision, std::move(s)};
  }
  if (absl::Status s = CheckShape(header, expected); !s.ok()) {
    return {HeaderRefusal::kWrongShape, std::move(s)};
  }
  return {};
}

absl::Status CheckDecision(const Decision& decision) {
  if (decision.slot_count > kDecisionSlots) {
    return absl::InvalidArgumentError(
        absl::StrCat("decision.slot_count is ", decision.slot_count, ", limit ", kDecisionSlots));
  }
  for (const DecisionSlot& slot : decision.slots) {
    if (slot.probability >= 0.0F && slot.probability <= 1.0F) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("decision.probability is ", slot.probability, ", must be in [0, 1]"));
  }
  return absl::OkStatus();
}

}  // namespace automot::context
