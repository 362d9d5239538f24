#include "services/planning/lane/submit_outcome.h"

#include <algorithm>

namespace automot::planning {

SubmitOutcome JudgeSubmission(const absl::Status& status, bool lossless, bool asked_to_wait) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return SubmitOutcome::kTaken;
    case absl::StatusCode::kResourceExhausted:
      if (!asked_to_wait) return SubmitOutcome::kRefused;
      return lossless ? SubmitOutcome::kQueueFull : SubmitOutcome::kAgain;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kUnimplemented:
      return SubmitOutcome::kRefused;
    default:
      return SubmitOutcome::kAgain;
  }
}

absl::Duration GrowingDelay(absl::Duration first, absl::Duration last, int failures) {
  return std::min(first * (1 << std::min(failures, 10)), std::max(first, last));
}

}  // namespace automot::planning
