// Rules of session time (semantics 1 and 2). Pure. When refreshes are due, and which plan waits for
// one, is in refresh_schedule.h.
#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "common/types/observation.h"
#include "common/types/trajectory.h"

namespace automot::planning {

inline constexpr SessionTimeUs kTimeJumpUs = 2'000'000;
inline constexpr SessionTimeUs kMaxModalitySkewUs = 100'000;  // semantics 1

// Within an episode: INVALID_ARGUMENT where `capture_us` is below `newest_us`; TIME_JUMP where it
// is more than 2 s above.
absl::StatusOr<ReasonSet> CheckSessionTime(std::optional<SessionTimeUs> newest_us,
                                           SessionTimeUs capture_us);

// True where a modality's capture time lies more than 100 ms before or after the ego state's
// (reason MODALITY_SKEW).
bool IsSkewed(SessionTimeUs capture_us, SessionTimeUs modality_us);

}  // namespace automot::planning
