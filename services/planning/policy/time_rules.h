// Rules of session time (semantics 2). Pure.
#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "common/types/observation.h"
#include "common/types/trajectory.h"

namespace automot::planning {

inline constexpr SessionTimeUs kTimeJumpUs = 2'000'000;

// Within an episode: INVALID_ARGUMENT where `capture_us` is below `newest_us`; TIME_JUMP where it
// is more than 2 s above.
absl::StatusOr<ReasonSet> CheckSessionTime(std::optional<SessionTimeUs> newest_us,
                                           SessionTimeUs capture_us);

}  // namespace automot::planning
