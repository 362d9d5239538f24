// How often and how long a client tries again.
#include "client/retry_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace automot::client {
namespace {

using ::testing::HasSubstr;

const absl::Time kStart = absl::FromUnixSeconds(1000);
const absl::Status kUnavailable = absl::UnavailableError("gone");
const absl::Status kExhausted = absl::ResourceExhaustedError("full");

RetryPolicy Plain() {
  RetryPolicy policy;
  policy.max_attempts = 5;
  policy.initial_backoff = absl::Milliseconds(100);
  policy.max_backoff = absl::Milliseconds(350);
  policy.multiplier = 2.0;
  policy.jitter = 0.0;
  return policy;
}

// The delays before all attempts that `policy` allows while time stands still.
std::vector<absl::Duration> Delays(const RetryPolicy& policy) {
  RetryState state(policy, absl::InfiniteFuture());
  std::vector<absl::Duration> delays;
  absl::Duration delay;
  while (state.ShouldRetry(kUnavailable, absl::ZeroDuration(), kStart, &delay)) {
    delays.push_back(delay);
  }
  return delays;
}

TEST(RetryPolicyTest, DelaysGrowToTheLimitAndAttemptsEnd) {
  EXPECT_THAT(Delays(Plain()),
              testing::ElementsAre(absl::Milliseconds(100), absl::Milliseconds(200),
                                   absl::Milliseconds(350), absl::Milliseconds(350)));
}

TEST(RetryPolicyTest, OneAttemptIsNoRetry) {
  RetryPolicy policy = Plain();
  policy.max_attempts = 1;
  EXPECT_TRUE(Delays(policy).empty());
}

TEST(RetryPolicyTest, JitterStaysInItsRangeAndRepeatsWithItsSeed) {
  RetryPolicy policy = Plain();
  policy.max_attempts = 100;
  policy.multiplier = 1.0;
  policy.jitter = 0.25;
  policy.jitter_seed = 7;
  const std::vector<absl::Duration> delays = Delays(policy);
  ASSERT_EQ(delays.size(), 99U);
  for (const absl::Duration delay : delays) {
    EXPECT_GE(delay, absl::Milliseconds(75));
    EXPECT_LE(delay, absl::Milliseconds(125));
  }
  EXPECT_NE(delays[0], delays[1]);
  EXPECT_EQ(Delays(policy), delays);
  policy.jitter_seed = 8;
  EXPECT_NE(Delays(policy), delays);
  policy.jitter_seed.reset();
  EXPECT_NE(Delays(policy), Delays(policy)) << "clients must not move in step";
}

TEST(RetryPolicyTest, OnlyWhatMayHelpIsTriedAgain) {
  for (int code = 1; code <= 16; ++code) {
    RetryState state(Plain(), absl::InfiniteFuture());
    absl::Duration delay;
    const absl::Status status(static_cast<absl::StatusCode>(code), "");
    EXPECT_EQ(state.ShouldRetry(status, absl::ZeroDuration(), kStart, &delay),
              code == static_cast<int>(absl::StatusCode::kUnavailable))
        << status;
  }
}

TEST(RetryPolicyTest, RefusalForLoadWaitsAsLongAsTheServerSays) {
  RetryState state(Plain(), absl::InfiniteFuture());
  absl::Duration delay;
  ASSERT_TRUE(state.ShouldRetry(kExhausted, absl::Seconds(3), kStart, &delay));
  EXPECT_EQ(delay, absl::Seconds(3));
  ASSERT_TRUE(state.ShouldRetry(kExhausted, absl::Milliseconds(1), kStart, &delay));
  EXPECT_EQ(delay, absl::Milliseconds(200)) << "the own delay is longer";
  EXPECT_FALSE(state.ShouldRetry(kExhausted, absl::ZeroDuration(), kStart, &delay))
      << "a request that is too large stays so";
}

TEST(RetryPolicyTest, NothingIsWaitedForThatTheDeadlineForbids) {
  RetryState state(Plain(), kStart + absl::Milliseconds(150));
  absl::Duration delay;
  ASSERT_TRUE(state.ShouldRetry(kUnavailable, absl::ZeroDuration(), kStart, &delay));
  EXPECT_FALSE(state.ShouldRetry(kUnavailable, absl::ZeroDuration(),
                                 kStart + absl::Milliseconds(100), &delay));
  EXPECT_EQ(state.attempts(), 2);
}

TEST(RetryPolicyTest, PolicyIsCheckedByFieldValueAndLimit) {
  EXPECT_TRUE(ValidateRetryPolicy(RetryPolicy()).ok());
  const std::vector<std::pair<void (*)(RetryPolicy*), std::string>> cases = {
      {[](RetryPolicy* p) { p->max_attempts = 0; },
       "retry.max_attempts is 0; the limits are 1 and 100"},
      {[](RetryPolicy* p) { p->initial_backoff = absl::Seconds(5); },
       "retry.initial_backoff is 5s"},
      {[](RetryPolicy* p) { p->multiplier = 0.5; }, "retry.multiplier is 0.5"},
      {[](RetryPolicy* p) { p->jitter = 1.5; }, "retry.jitter is 1.5"},
  };
  for (const auto& [edit, text] : cases) {
    RetryPolicy policy;
    edit(&policy);
    const absl::Status status = ValidateRetryPolicy(policy);
    EXPECT_TRUE(absl::IsInvalidArgument(status));
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
  }
}

}  // namespace
}  // namespace automot::client
