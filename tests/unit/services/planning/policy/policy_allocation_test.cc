// The policy runs on the planning tick: no heap call, no lock, no wait.
#include <gtest/gtest.h>

#include "services/planning/policy/context_travel.h"
#include "services/planning/policy/fallback.h"
#include "services/planning/policy/history_grid.h"
#include "services/planning/policy/staleness_policy.h"
#include "tests/support/tick_guard.h"

namespace automot::planning {
namespace {

TEST(PolicyTick, TakesNoLockAndAllocatesNothing) {
  if (!test_support::TickGuard::supported()) GTEST_SKIP() << "counters are off under a sanitizer";
  const SessionOptions options;
  LastGoodRoute good;
  good.pose = Pose2{};
  for (int i = 0; i < kRoutePoints; ++i) good.trajectory.route[i] = {i + 1.0, 0.1 * i};
  const SessionTimeUs times_us[] = {0, 250'000, 500'000, 750'000};
  RecoveryTracker recovery;
  const test_support::TickGuard guard;
  for (SessionTimeUs age = 0; age < 2'000'000; age += 10'000) {
    const StalenessOutcome outcome =
        JudgeStaleness({.has_context = true, .staleness_us = age}, options, OnExpired::kFallback);
    recovery.Observe({1, 1, 1, static_cast<uint64_t>(age)}, outcome.reasons.Has(Reason::kExpired));
    PlanFallback({.last_good = &good, .pose = Pose2{}, .speed_mps = 8.0, .capture_time_us = age});
    FallbackDecision(age);
    ComputeContextTravel({Pose2{}, 1.0, {8, 0}}, {Pose2{{1, 0}, 0.1}, 2.0, {7, 0}});
    ChooseHistory({}, times_us);
  }
  const test_support::TickReport report = guard.report();
  EXPECT_EQ(report.heap_calls, 0U) << report.ToString();
  EXPECT_EQ(report.lock_calls, 0U) << report.ToString();
  EXPECT_EQ(report.wait_calls, 0U) << report.ToString();
}

}  // namespace
}  // namespace automot::planning
