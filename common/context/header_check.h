// Whether a snapshot header is sane, and whether it is the one that its receiver waits for.
// Pure functions, any thread. Used by every lane before a byte of the snapshot is accepted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/context/context_layout.h"
#include "common/context/context_snapshot.h"

namespace automot::context {

inline constexpr std::size_t kMaxHistoryFrames = 64;
inline constexpr std::size_t kMaxNameBytes =
    256;  // model_revision, prompt_template, instruction_mask
inline constexpr int64_t kMaxPositionStart = int64_t{1} << 31;

// What a receiver requires. Absent or empty means: anything.
struct SnapshotExpectation {
  uint64_t session = 0;
  uint32_t episode = 0;
  uint64_t epoch = 0;
  std::string model_revision;
  std::string prompt_template;
  std::string instruction_mask;
  std::optional<double> history_spacing_s;
  // Compared but for the tokens, which vary with the prompt.
  std::optional<ContextLayout> layout;
  // Between processes: stands for the session's number in the digest.
  std::string session_name;
};

// Why a header is refused; a metrics label.
enum class HeaderRefusal : uint8_t {
  kNone = 0,
  kMalformed,      // a field out of range: INVALID_ARGUMENT
  kWrongSession,   // INVALID_ARGUMENT
  kWrongEpisode,   // ABORTED
  kWrongEpoch,     // ABORTED: fenced
  kWrongRevision,  // FAILED_PRECONDITION: model revision
  kWrongShape,     // FAILED_PRECONDITION: layout, mask, template or spacing
};

struct HeaderVerdict {
  HeaderRefusal refusal = HeaderRefusal::kNone;
  absl::Status status;  // OK, or the field, the value and the limit
};

HeaderVerdict CheckHeader(const SnapshotHeader& header, const SnapshotExpectation& expected);

// INVALID_ARGUMENT if a decision that arrived from outside is out of range.
absl::Status CheckDecision(const Decision& decision);

}  // namespace automot::context
