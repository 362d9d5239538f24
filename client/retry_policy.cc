#include "client/retry_policy.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace automot::client {
namespace {

template <typename... Parts>
absl::Status Invalid(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("retry.", parts...));
}

}  // namespace

absl::Status ValidateRetryPolicy(const RetryPolicy& policy) {
  if (policy.max_attempts < 1 || policy.max_attempts > 100) {
    return Invalid("max_attempts is ", policy.max_attempts, "; the limits are 1 and 100");
  }
  if (policy.initial_backoff < absl::ZeroDuration() ||
      policy.max_backoff < policy.initial_backoff) {
    return Invalid("initial_backoff is ", absl::FormatDuration(policy.initial_backoff),
                   "; the limits are 0 and max_backoff, ",
                   absl::FormatDuration(policy.max_backoff));
  }
  if (!(policy.multiplier >= 1.0 && policy.multiplier <= 100.0)) {
    return Invalid("multiplier is ", policy.multiplier, "; the limits are 1 and 100");
  }
  if (!(policy.jitter >= 0.0 && policy.jitter <= 1.0)) {
    return Invalid("jitter is ", policy.jitter, "; the limits are 0 and 1");
  }
  return absl::OkStatus();
}

double RetryState::Jitter() {
  if (!random_) {
    random_.emplace(policy_.jitter_seed ? *policy_.jitter_seed : std::random_device()());
  }
  return std::uniform_real_distribution<double>(1.0 - policy_.jitter,
                                                1.0 + policy_.jitter)(*random_);
}

bool RetryState::ShouldRetry(const absl::Status& status, absl::Duration server_delay,
                             absl::Time now, absl::Duration* delay) {
  const bool refused = absl::IsResourceExhausted(status) && server_delay > absl::ZeroDuration();
  if ((!absl::IsUnavailable(status) && !refused) || attempts_ >= policy_.max_attempts) return false;
  const double growth = std::pow(policy_.multiplier, attempts_ - 1);
  const absl::Duration backoff = std::min(policy_.max_backoff, policy_.initial_backoff * growth);
  const absl::Duration wait = std::max(backoff * Jitter(), server_delay);
  if (now + wait >= deadline_) return false;
  ++attempts_;
  *delay = wait;
  return true;
}

}  // namespace automot::client
