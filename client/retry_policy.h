// How often and how long a client tries again. Visible in PlannerClient::Options; nothing is
// retried that is not named here.
#pragma once

#include <cstdint>
#include <optional>
#include <random>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace automot::client {

struct RetryPolicy {
  int max_attempts = 4;  // the first one included; 1 switches retries off
  absl::Duration initial_backoff = absl::Milliseconds(50);
  absl::Duration max_backoff = absl::Seconds(2);  // before jitter
  double multiplier = 2.0;
  double jitter = 0.2;  // 0 .. 1: each delay is drawn from [1 - jitter, 1 + jitter] times its value
  // Seed of the jitter, to repeat a run. Absent: drawn, so that clients do not move in step.
  std::optional<uint64_t> jitter_seed;
};

// INVALID_ARGUMENT naming field, value and limit.
absl::Status ValidateRetryPolicy(const RetryPolicy& policy);

// Decides over one call's attempts. Not thread-safe.
class RetryState {
 public:
  RetryState(const RetryPolicy& policy, absl::Time deadline)
      : policy_(policy), deadline_(deadline) {}

  // True where `status` may be tried again: UNAVAILABLE, or RESOURCE_EXHAUSTED with the server's
  // delay in `server_delay` (never waited less than that), and attempts and time are left at `now`.
  // `*delay` is then what to wait first.
  bool ShouldRetry(const absl::Status& status, absl::Duration server_delay, absl::Time now,
                   absl::Duration* delay);

  int attempts() const { return attempts_; }

 private:
  double Jitter();

  const RetryPolicy policy_;
  const absl::Time deadline_;
  int attempts_ = 1;
  std::optional<std::mt19937_64> random_;  // made by the first retry
};

}  // namespace automot::client
