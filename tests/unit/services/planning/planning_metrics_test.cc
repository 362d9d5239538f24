#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <string>

#include "absl/strings/str_cat.h"
#include "services/planning/planning_metrics_prometheus.h"
#include "tests/support/tick_guard.h"
#include "tests/unit/services/planning/plan_work_fixture.h"

namespace automot::planning {
namespace {

using test_support::TickGuard;
using test_support::TickReport;
using ::testing::HasSubstr;
using ::testing::Not;

class PlanningMetricsTest : public ::testing::Test {
 protected:
  // One line of the scraped text.
  void ExpectLine(const std::string& line) {
    EXPECT_THAT(absl::StrCat("\n", registry_.Text()), HasSubstr(absl::StrCat("\n", line, "\n")));
  }
  template <typename Observe>
  static TickReport Count(Observe observe) {
    observe();  // warm-up: lazily bound symbols
    const TickGuard guard;
    for (int i = 0; i < 1000; ++i) observe();
    return guard.report();
  }

  metrics::Registry registry_;
  ManualClock clock_;
  PrometheusPlanningMetrics metrics_{&registry_, &clock_};
};

// What the planning service must not put on its planning thread.
class LockingMetrics final : public PlanningMetrics {
 public:
  void ObserveTick(const PlanWork& work) override {
    const std::lock_guard lock(mutex_);
    sessions_.emplace_back(work.session->name + " of a name that does not fit in place");
    sessions_.clear();
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> sessions_;
};

TEST_F(PlanningMetricsTest, ObserveTickUsesNoHeapNoLockAndNoWait) {
  if (!TickGuard::supported()) GTEST_SKIP() << "sanitizers replace what the guard counts";
  PlanWork work = AnsweredWork(PlainSession(TwentyHertz()));
  for (int i = 0; i < kReasonCount; ++i) work.result.reasons.Add(static_cast<Reason>(i));
  const TickReport report = Count([&] {
    clock_.Advance(absl::Milliseconds(50));
    work.capture_time_us += 50'000;
    metrics_.ObserveTick(work);
  });
  EXPECT_EQ(report.heap_calls, 0U) << report.ToString();
  EXPECT_EQ(report.lock_calls, 0U) << report.ToString();
  EXPECT_EQ(report.wait_calls, 0U) << report.ToString();
  ExpectLine("automot_loop_period_seconds_count{loop=\"planning\",rate_hz=\"20\"} 1000");
}

// The control: the same guard over a tick that takes a lock and allocates.
TEST_F(PlanningMetricsTest, TheGuardSeesMetricsThatLockAndAllocate) {
  if (!TickGuard::supported()) GTEST_SKIP() << "sanitizers replace what the guard counts";
  const PlanWork work = AnsweredWork(PlainSession(TwentyHertz()));
  LockingMetrics locking;
  const TickReport report = Count([&] { locking.ObserveTick(work); });
  EXPECT_GE(report.lock_calls, 1000U) << report.ToString();
  EXPECT_GE(report.heap_calls, 1000U) << report.ToString();
}

TEST_F(PlanningMetricsTest, ATickCountsItsContextReasonsAndDecisions) {
  PlanWork work = AnsweredWork(PlainSession(TwentyHertz()));
  work.result.reasons.Add(Reason::kStale);
  work.result.reasons.Add(Reason::kModalitySkew);
  metrics_.ObserveTick(work);
  ExpectLine("automot_plan_reasons_total{reason=\"stale\"} 1");
  ExpectLine("automot_plan_reasons_total{reason=\"modality_skew\"} 1");
  ExpectLine("automot_plan_reasons_total{reason=\"expired\"} 0");
  ExpectLine("automot_context_staleness_seconds_sum{clock=\"wall\",rate_hz=\"20\"} 0.25");
  ExpectLine("automot_context_version_gap_sum 1");
  ExpectLine("automot_decision_agreement_total{result=\"disagree\"} 1");
  ExpectLine("automot_decision_consistency_total{result=\"consistent\"} 1");
}

TEST_F(PlanningMetricsTest, SteppedSessionsAgeOnTheSimulatedClock) {
  SessionOptions options = TwentyHertz();
  options.time_mode = TimeMode::kStepped;
  metrics_.ObserveTick(AnsweredWork(PlainSession(options)));
  ExpectLine("automot_context_staleness_seconds_count{clock=\"simulated\",rate_hz=\"20\"} 1");
}

TEST_F(PlanningMetricsTest, ATickWithoutAContextHasNoStaleness) {
  PlanWork work = AnsweredWork(PlainSession(TwentyHertz()));
  work.result.snapshot = {};
  metrics_.ObserveTick(work);
  EXPECT_THAT(registry_.Text(), Not(HasSubstr("automot_context_staleness_seconds_count")));
  ExpectLine("automot_context_version_gap_count 0");
}

TEST_F(PlanningMetricsTest, AnAnswerCountsTheStagesThatItWentThrough) {
  PlanWork work = AnsweredWork(PlainSession(TwentyHertz()));
  clock_.Advance(absl::Milliseconds(30));
  metrics_.ObservePlan(work);
  ExpectLine("automot_plans_total{outcome=\"answered\"} 1");
  const std::string stage = "automot_stage_seconds_sum{loop=\"planning\",stage=\"";
  ExpectLine(stage + "ingest\",rate_hz=\"20\"} 0.003");
  ExpectLine(stage + "bev_encoder\",rate_hz=\"20\"} 0.012");
  ExpectLine(stage + "tick\",rate_hz=\"20\"} 0.021");
  ExpectLine(stage + "total\",rate_hz=\"20\"} 0.03");
  EXPECT_THAT(registry_.Text(), Not(HasSubstr("stage=\"parked\"")));

  work.parked_at = absl::ZeroDuration();
  work.result.parked_s = 0.5;
  metrics_.ObservePlan(work);
  ExpectLine(stage + "parked\",rate_hz=\"20\"} 0.5");
}

TEST_F(PlanningMetricsTest, OutcomesAreDisjoint) {
  PlanWork work = AnsweredWork(PlainSession(TwentyHertz()));
  work.result.reasons.Add(Reason::kFallback);
  metrics_.ObservePlan(work);
  for (int failure = 1; failure <= static_cast<int>(PlanFailure::kExpert); ++failure) {
    work.result.failure = static_cast<PlanFailure>(failure);
    metrics_.ObservePlan(work);
  }
  ExpectLine("automot_plans_total{outcome=\"answered\"} 0");
  for (const char* outcome :
       {"fallback", "deadline", "cancelled", "superseded", "episode_ended", "session_closed",
        "expired", "no_context", "context_not_found", "context_too_old", "expert_failed"}) {
    ExpectLine(absl::StrCat("automot_plans_total{outcome=\"", outcome, "\"} 1"));
  }
}

TEST_F(PlanningMetricsTest, MissedDeadlinesAreThoseDroppedAndThoseAnsweredLate) {
  PlanWork work = AnsweredWork(PlainSession(TwentyHertz()));
  work.deadline = absl::Milliseconds(50);
  metrics_.ObservePlan(work);
  ExpectLine("automot_plan_deadline_misses_total{rate_hz=\"20\"} 0");
  clock_.Advance(absl::Milliseconds(51));
  metrics_.ObservePlan(work);
  work.result.failure = PlanFailure::kDeadline;
  metrics_.ObservePlan(work);
  ExpectLine("automot_plan_deadline_misses_total{rate_hz=\"20\"} 2");
}

TEST_F(PlanningMetricsTest, RejectedSnapshotsCountByReasonAndUnknownReasonsAsOther) {
  metrics_.CountRejectedSnapshot(context::ToString(context::Rejection::kOldEpoch));
  metrics_.CountRejectedSnapshot("does_not_fit");
  metrics_.CountRejectedSnapshot("a reason of a later version");
  ExpectLine("automot_snapshots_rejected_total{reason=\"old_epoch\"} 1");
  ExpectLine("automot_snapshots_rejected_total{reason=\"does_not_fit\"} 1");
  ExpectLine("automot_snapshots_rejected_total{reason=\"other\"} 1");
  ExpectLine("automot_snapshots_rejected_total{reason=\"capture_not_newer\"} 0");
}

TEST_F(PlanningMetricsTest, AsksItsSourcesWhileTheyAreConnected) {
  {
    const PrometheusPlanningMetrics::Connection connection(
        &metrics_, {.load = [] { return PlanningLoop::Load{7, 3, 0.02}; },
                    .link_stats =
                        [] {
                          context::LinkStats stats;
                          stats.state = context::LinkState::kUp;
                          stats.observations_dropped = 4;
                          return stats;
                        }});
    ExpectLine("automot_plans_waiting{state=\"queued\"} 4");
    ExpectLine("automot_plans_waiting{state=\"parked\"} 3");
    ExpectLine("automot_admission_tick_seconds 0.02");
    ExpectLine("automot_link_state{state=\"up\"} 1");
    ExpectLine("automot_link_state{state=\"down\"} 0");
    ExpectLine("automot_link_observations_total{outcome=\"dropped\"} 4");
  }
  EXPECT_THAT(registry_.Text(), Not(HasSubstr("automot_plans_waiting{")));
}

}  // namespace
}  // namespace automot::planning
