#include "services/reasoning/refresh_queue.h"

#include <gtest/gtest.h>

#include "tests/fakes/slow_observations.h"

namespace automot::reasoning {
namespace {

using Outcome = RefreshQueue::Outcome;

constexpr RefreshQueue::Options kTwoHertz = {.period_us = 500'000};

Outcome OfferAt(RefreshQueue& queue, SessionTimeUs time, absl::Duration now = absl::ZeroDuration(),
                bool urgent = false) {
  auto observation = fakes::SlowObservationAt(1, time, 1);
  observation->urgent = urgent;
  return queue.Offer(std::move(observation), time, now);
}

TEST(RefreshQueue, NewestReplacesTheWaitingOne) {
  RefreshQueue queue(kTwoHertz);
  EXPECT_EQ(OfferAt(queue, 0), Outcome::kQueued);
  EXPECT_EQ(OfferAt(queue, 50'000), Outcome::kReplaced);
  EXPECT_EQ(OfferAt(queue, 100'000), Outcome::kReplaced);
  EXPECT_EQ(queue.size(), 1U);
  EXPECT_EQ(queue.Pop().frame_time_us, 100'000);
  EXPECT_TRUE(queue.empty());
}

TEST(RefreshQueue, RefreshIsDueOncePerPeriodOfSessionTime) {
  RefreshQueue queue(kTwoHertz);
  OfferAt(queue, 0);
  queue.Pop();
  EXPECT_EQ(OfferAt(queue, 450'000), Outcome::kNotDue);
  EXPECT_EQ(OfferAt(queue, 499'999), Outcome::kQueued)
      << "rounded camera periods still make the rate";
}

TEST(RefreshQueue, UrgentObservationIsDueAtOnceAndGoesFirst) {
  RefreshQueue queue(kTwoHertz);
  OfferAt(queue, 0);
  queue.Pop();
  EXPECT_EQ(OfferAt(queue, 50'000, absl::Seconds(7), true), Outcome::kQueued);
  EXPECT_EQ(queue.deadline(), absl::Seconds(7));
}

TEST(RefreshQueue, UrgencyWithoutANewFrameWaitsForTheNextFrame) {
  RefreshQueue queue(kTwoHertz);
  OfferAt(queue, 100'000);
  queue.Pop();
  EXPECT_EQ(OfferAt(queue, 100'000, absl::ZeroDuration(), true), Outcome::kNotDue);
  EXPECT_EQ(OfferAt(queue, 150'000), Outcome::kQueued);
  queue.Pop();
  EXPECT_EQ(OfferAt(queue, 200'000), Outcome::kNotDue) << "urgency is used up";
}

TEST(RefreshQueue, TheDeadlineIsWhenTheServedContextLeavesItsBudget) {
  RefreshQueue queue({.period_us = 500'000, .staleness_budget_us = 1'000'000});
  OfferAt(queue, 0, absl::Seconds(1));
  EXPECT_EQ(queue.deadline(), absl::Seconds(1)) << "nothing serves yet";
  queue.Pop();
  OfferAt(queue, 600'000, absl::Seconds(2));
  EXPECT_EQ(queue.deadline(), absl::Seconds(2) + absl::Milliseconds(400));
  EXPECT_EQ(queue.Pop().due, absl::Seconds(2) + absl::Milliseconds(500));
  OfferAt(queue, 5'000'000, absl::Seconds(3));
  EXPECT_EQ(queue.deadline(), absl::Seconds(3)) << "stale already";
}

TEST(RefreshQueue, ReplacedCandidateKeepsItsDeadline) {
  RefreshQueue queue(kTwoHertz);
  OfferAt(queue, 0);
  queue.Pop();
  OfferAt(queue, 500'000, absl::Seconds(1));
  OfferAt(queue, 550'000, absl::Seconds(2));
  EXPECT_EQ(queue.deadline(), absl::Seconds(1.5));
  EXPECT_EQ(queue.Pop().frame_time_us, 550'000);
}

TEST(RefreshQueue, HistoryIsNeverWork) {
  RefreshQueue queue(kTwoHertz);
  auto observation = fakes::SlowObservationAt(1, 0, 1);
  observation->history_only = true;
  EXPECT_EQ(queue.Offer(observation, 0, absl::ZeroDuration()), Outcome::kNotDue);
  EXPECT_TRUE(queue.empty());
}

TEST(RefreshQueue, LosslessKeepsOrderAndRefusesWhenFull) {
  RefreshQueue queue({.lossless = true, .capacity = 2, .period_us = 500'000});
  EXPECT_EQ(OfferAt(queue, 0), Outcome::kQueued);
  EXPECT_EQ(OfferAt(queue, 1), Outcome::kQueued);
  EXPECT_EQ(OfferAt(queue, 2), Outcome::kFull);
  EXPECT_EQ(queue.Pop().frame_time_us, 0);
  EXPECT_EQ(OfferAt(queue, 3), Outcome::kQueued);
  EXPECT_EQ(queue.Pop().frame_time_us, 1);
  EXPECT_EQ(queue.Pop().frame_time_us, 3);
}

}  // namespace
}  // namespace automot::reasoning
