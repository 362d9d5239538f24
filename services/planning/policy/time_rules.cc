#include "services/planning/policy/time_rules.h"

#include "absl/strings/str_cat.h"

namespace automot::planning {

absl::StatusOr<ReasonSet> CheckSessionTime(std::optional<SessionTimeUs> newest_us,
                                           SessionTimeUs capture_us) {
  ReasonSet reasons;
  if (!newest_us) return reasons;
  if (capture_us < *newest_us) {
    return absl::InvalidArgumentError(
        absl::StrCat("observation.capture_time_us is ", capture_us,
                     "; session time runs forward within an episode and is at ", *newest_us,
                     " (ResetSession starts a new episode)"));
  }
  // Capture times come from outside: their difference may not fit.
  SessionTimeUs forward_us = 0;
  const bool overflows = __builtin_sub_overflow(capture_us, *newest_us, &forward_us);
  if (overflows || forward_us > kTimeJumpUs) reasons.Add(Reason::kTimeJump);
  return reasons;
}

bool IsSkewed(SessionTimeUs capture_us, SessionTimeUs modality_us) {
  SessionTimeUs skew_us = 0;
  return __builtin_sub_overflow(capture_us, modality_us, &skew_us) ||
         skew_us > kMaxModalitySkewUs || skew_us < -kMaxModalitySkewUs;
}

}  // namespace automot::planning
