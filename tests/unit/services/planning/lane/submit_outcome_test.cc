#include "services/planning/lane/submit_outcome.h"

#include <gtest/gtest.h>

namespace automot::planning {
namespace {

SubmitOutcome Judge(absl::StatusCode code, bool lossless = false, bool asked_to_wait = false) {
  return JudgeSubmission(absl::Status(code, "why"), lossless, asked_to_wait);
}

TEST(SubmitOutcome, WhatRepeatingCannotMendIsRefused) {
  for (const auto code : {absl::StatusCode::kInvalidArgument, absl::StatusCode::kPermissionDenied,
                          absl::StatusCode::kUnauthenticated, absl::StatusCode::kFailedPrecondition,
                          absl::StatusCode::kUnimplemented}) {
    EXPECT_EQ(Judge(code), SubmitOutcome::kRefused) << absl::StatusCodeToString(code);
  }
  for (const auto code : {absl::StatusCode::kUnavailable, absl::StatusCode::kDeadlineExceeded,
                          absl::StatusCode::kNotFound, absl::StatusCode::kInternal}) {
    EXPECT_EQ(Judge(code), SubmitOutcome::kAgain) << absl::StatusCodeToString(code);
  }
  EXPECT_EQ(Judge(absl::StatusCode::kOk), SubmitOutcome::kTaken);
}

TEST(SubmitOutcome, OnlyTheProducersOwnQueueKeepsTheFrames) {
  constexpr auto kExhausted = absl::StatusCode::kResourceExhausted;
  EXPECT_EQ(Judge(kExhausted, true, true), SubmitOutcome::kQueueFull);
  EXPECT_EQ(Judge(kExhausted, false, true), SubmitOutcome::kAgain);
  EXPECT_EQ(Judge(kExhausted, true, false), SubmitOutcome::kRefused) << "a message too large";
  EXPECT_EQ(Judge(kExhausted, false, false), SubmitOutcome::kRefused);
}

TEST(SubmitOutcome, TheDelayGrowsToItsBound) {
  const absl::Duration first = absl::Milliseconds(20), last = absl::Milliseconds(300);
  EXPECT_EQ(GrowingDelay(first, last, 0), first);
  EXPECT_EQ(GrowingDelay(first, last, 1), absl::Milliseconds(40));
  EXPECT_EQ(GrowingDelay(first, last, 3), absl::Milliseconds(160));
  EXPECT_EQ(GrowingDelay(first, last, 4), last);
  EXPECT_EQ(GrowingDelay(first, last, 1'000'000), last);
  EXPECT_EQ(GrowingDelay(last, first, 3), last);
}

}  // namespace
}  // namespace automot::planning
