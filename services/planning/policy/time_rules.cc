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
  if (capture_us - *newest_us > kTimeJumpUs) reasons.Add(Reason::kTimeJump);
  return reasons;
}

}  // namespace automot::planning
