#include "client/retry_policy.h"

#include <algorithm>
#include <cmath>

namespace automot::client {

bool RetryState::ShouldRetry(const absl::Status& status, absl::Duration server_delay,
                             absl::Duration* delay) {
  const bool refused = absl::IsResourceExhausted(status) && server_delay > absl::ZeroDuration();
  if ((!absl::IsUnavailable(status) && !refused) || attempts_ >= policy_.max_attempts) return false;
  absl::Duration wait = std::min(
      policy_.max_backoff, policy_.initial_backoff * std::pow(policy_.multiplier, attempts_ - 1));
  wait *= absl::Uniform(random_, 1.0 - policy_.jitter, 1.0 + policy_.jitter);
  wait = std::max(wait, server_delay);
  if (absl::Now() + wait >= deadline_) return false;
  ++attempts_;
  *delay = wait;
  return true;
}

}  // namespace automot::client
