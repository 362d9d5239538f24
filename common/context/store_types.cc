#include "common/context/store_types.h"

namespace automot::context {

const char* ToString(Miss miss) {
  switch (miss) {
    case Miss::kNone:
      return "none";
    case Miss::kUnknownSession:
      return "unknown_session";
    case Miss::kNoVersion:
      return "no_version";
    case Miss::kNoPinSlot:
      return "no_pin_slot";
    case Miss::kDraining:
      return "draining";
  }
  return "unknown";
}

const char* ToString(Rejection rejection) {
  switch (rejection) {
    case Rejection::kNone:
      return "none";
    case Rejection::kUnknownSession:
      return "unknown_session";
    case Rejection::kWrongSession:
      return "wrong_session";
    case Rejection::kOldEpisode:
      return "old_episode";
    case Rejection::kFutureEpisode:
      return "future_episode";
    case Rejection::kOldEpoch:
      return "old_epoch";
    case Rejection::kFutureEpoch:
      return "future_epoch";
    case Rejection::kOldVersion:
      return "old_version";
    case Rejection::kCaptureNotNewer:
      return "capture_not_newer";
    case Rejection::kDraining:
      return "draining";
    case Rejection::kNoCapacity:
      return "no_capacity";
  }
  return "unknown";
}

const char* ToString(TransitionKind kind) {
  switch (kind) {
    case TransitionKind::kPublished:
      return "published";
    case TransitionKind::kSuperseded:
      return "superseded";
    case TransitionKind::kRetired:
      return "retired";
    case TransitionKind::kFreed:
      return "freed";
    case TransitionKind::kRejected:
      return "rejected";
    case TransitionKind::kReset:
      return "reset";
    case TransitionKind::kClosed:
      return "closed";
    case TransitionKind::kDraining:
      return "draining";
  }
  return "unknown";
}

}  // namespace automot::context
