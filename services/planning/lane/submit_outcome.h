// What a producer's answer to an observation means for what was sent, and when to send again.
#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace automot::planning {

enum class SubmitOutcome {
  kTaken,
  kQueueFull,  // the frames are in the history, the candidate has to wait
  kRefused,    // the same again would be refused again
  kAgain,      // not taken, or not known to be
};

// `asked_to_wait`: the answer carries rpc::kRetryAfterKey, thus comes from the producer itself and
// not from what gRPC says of its own, of messages that are too large above all.
SubmitOutcome JudgeSubmission(const absl::Status& status, bool lossless, bool asked_to_wait);

// Doubles with every failure in a row before this one, from `first` to `last`.
absl::Duration GrowingDelay(absl::Duration first, absl::Duration last, int failures);

}  // namespace automot::planning
