// The primitives that the planning thread touches: no heap, no lock, no wait, and nothing lost
// between threads.
#include "common/metrics/tick_histogram.h"

#include <gtest/gtest.h>

#include <limits>
#include <mutex>
#include <thread>
#include <vector>

#include "common/metrics/registry.h"
#include "tests/support/tick_guard.h"

namespace automot::metrics {
namespace {

using test_support::TickGuard;
using test_support::TickReport;

constexpr BucketBounds kBounds = {0.1, 1, 10};

template <typename Observe>
TickReport Count(Observe observe) {
  observe();  // warm-up: lazily bound symbols
  const TickGuard guard;
  for (int i = 0; i < 1000; ++i) observe();
  return guard.report();
}

TEST(TickHistogramTest, ObservingUsesNoHeapNoLockAndNoWait) {
  if (!TickGuard::supported()) GTEST_SKIP() << "sanitizers replace what the guard counts";
  Registry registry;
  HistogramFamily* const family = registry.AddHistograms({"bite_seconds", "Time of a bite."},
                                                         &kBounds, {{"colour", {"red", "green"}}});
  const TickReport report = Count([&] { family->At({1}).Observe(0.5); });
  EXPECT_EQ(report.heap_calls, 0U) << report.ToString();
  EXPECT_EQ(report.lock_calls, 0U) << report.ToString();
  EXPECT_EQ(report.wait_calls, 0U) << report.ToString();
}

// The control: a sum under a lock, as an ordinary histogram keeps it.
TEST(TickHistogramTest, TheGuardSeesTheLockOfAnOrdinaryHistogram) {
  if (!TickGuard::supported()) GTEST_SKIP() << "sanitizers replace what the guard counts";
  std::mutex mutex;
  double sum = 0.0;
  const TickReport report = Count([&] {
    const std::lock_guard lock(mutex);
    sum += 0.5;
  });
  EXPECT_GE(report.lock_calls, 1000U) << report.ToString();
}

TEST(TickHistogramTest, PutsEachValueIntoTheFirstBucketThatHoldsIt) {
  TickHistogram histogram(&kBounds);
  for (const double value : {-1.0, 0.0, 0.1, 0.11, 1.0, 10.0, 10.5}) histogram.Observe(value);
  EXPECT_EQ(histogram.count(0), 3U);
  EXPECT_EQ(histogram.count(1), 2U);
  EXPECT_EQ(histogram.count(2), 1U);
  EXPECT_EQ(histogram.count(3), 1U);
  histogram.Observe(std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(histogram.count(3), 2U);
}

TEST(TickHistogramTest, LosesNothingBetweenThreads) {
  TickHistogram histogram(&kBounds);
  TickCounter counter;
  constexpr int kThreads = 4;
  constexpr int kEach = 20'000;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        histogram.Observe(0.5);
        counter.Add();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(histogram.count(1), static_cast<uint64_t>(kThreads * kEach));
  EXPECT_EQ(counter.value(), static_cast<uint64_t>(kThreads * kEach));
  EXPECT_DOUBLE_EQ(histogram.sum(), 0.5 * kThreads * kEach);
}

}  // namespace
}  // namespace automot::metrics
