#include "services/planning/plan_failure.h"

#include "absl/strings/str_cat.h"
#include "services/planning/session.h"

namespace automot::planning {

absl::Status PlanFailureStatus(const PlanWork& work) {
  const SessionOptions& options = work.session->options;
  switch (work.result.failure) {
    case PlanFailure::kNone:
      return absl::OkStatus();
    case PlanFailure::kDeadline:
      return absl::DeadlineExceededError(
          absl::StrCat("plan ", work.sequence, " did not start before its deadline"));
    case PlanFailure::kCancelled:
      return absl::CancelledError("the client cancelled");
    case PlanFailure::kSuperseded:
      return absl::AbortedError(absl::StrCat("plan ", work.sequence,
                                             " was superseded by a newer one of session '",
                                             work.session->name, "'"));
    case PlanFailure::kEpisodeEnded:
      return absl::AbortedError(
          absl::StrCat("episode ", work.episode, " ended before plan ", work.sequence, " ran"));
    case PlanFailure::kSessionClosed:
      return absl::AbortedError(absl::StrCat("session '", work.session->name, "' was closed"));
    case PlanFailure::kExpired:
      return absl::FailedPreconditionError(absl::StrCat(
          "context staleness is ", work.capture_time_us - work.result.snapshot_capture_us,
          " us; the hard limit is ", options.hard_staleness_us, " us and on_expired is REJECT"));
    case PlanFailure::kNoContext:
      return absl::FailedPreconditionError(
          absl::StrCat("session '", work.session->name,
                       "' has no context for this observation, and its policy for that is REJECT"));
    case PlanFailure::kContextNotFound:
      return absl::NotFoundError(absl::StrCat(
          "context.exactly: version ", work.choice.id.version, " of epoch ", work.choice.id.epoch,
          ", episode ", work.choice.id.episode, " is neither pinned nor retained"));
    case PlanFailure::kContextTooOld:
      return absl::FailedPreconditionError(absl::StrCat(
          "context.at_least_version is ", work.choice.id.version,
          "; the newest visible version of the current epoch is ", work.result.snapshot.version));
    case PlanFailure::kExpert:
      return absl::InternalError(
          absl::StrCat("the action expert failed: ", work.expert_status.ToString()));
  }
  return absl::InternalError("unknown plan failure");
}

}  // namespace automot::planning
