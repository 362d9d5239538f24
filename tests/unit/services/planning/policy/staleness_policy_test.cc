#include "services/planning/policy/staleness_policy.h"

#include <gtest/gtest.h>

#include "services/planning/policy/time_rules.h"
#include "services/planning/refresh_schedule.h"

namespace automot::planning {
namespace {

StalenessInputs Aged(SessionTimeUs staleness_us) {
  return {.has_context = true, .staleness_us = staleness_us};
}

TEST(StalenessPolicy, FlagsFromAboveTheSoftAndTheHardLimit) {
  const SessionOptions options;
  EXPECT_TRUE(JudgeStaleness(Aged(500'000), options, OnExpired::kFallback).reasons.empty());
  const StalenessOutcome stale = JudgeStaleness(Aged(500'001), options, OnExpired::kFallback);
  EXPECT_TRUE(stale.reasons.Has(Reason::kStale));
  EXPECT_EQ(stale.verdict, PlanVerdict::kPlan);
  EXPECT_FALSE(
      JudgeStaleness(Aged(1'000'000), options, OnExpired::kFallback).reasons.Has(Reason::kExpired));
  EXPECT_TRUE(
      JudgeStaleness(Aged(1'000'001), options, OnExpired::kFallback).reasons.Has(Reason::kExpired));
}

TEST(StalenessPolicy, DoesWithAnExpiredContextWhatTheRequestSays) {
  const SessionOptions options;
  EXPECT_EQ(JudgeStaleness(Aged(2'000'000), options, OnExpired::kFallback).verdict,
            PlanVerdict::kFallback);
  EXPECT_EQ(JudgeStaleness(Aged(2'000'000), options, OnExpired::kAnswer).verdict,
            PlanVerdict::kPlan);
  EXPECT_EQ(JudgeStaleness(Aged(2'000'000), options, OnExpired::kReject).verdict,
            PlanVerdict::kReject);
  EXPECT_EQ(JudgeStaleness(Aged(2'000'000), options, OnExpired::kWait).verdict, PlanVerdict::kWait);
  StalenessInputs waited = Aged(2'000'000);
  waited.may_wait = false;
  EXPECT_EQ(JudgeStaleness(waited, options, OnExpired::kWait).verdict, PlanVerdict::kFallback);
}

TEST(StalenessPolicy, HandlesTheTimeBeforeTheFirstContext) {
  SessionOptions options;
  EXPECT_EQ(JudgeStaleness({}, options, OnExpired::kFallback).verdict, PlanVerdict::kFallback);
  EXPECT_TRUE(JudgeStaleness({}, options, OnExpired::kFallback).reasons.Has(Reason::kNoContext));
  options.on_no_context = OnNoContext::kReject;
  EXPECT_EQ(JudgeStaleness({}, options, OnExpired::kFallback).verdict, PlanVerdict::kReject);
  options.on_no_context = OnNoContext::kPark;
  EXPECT_EQ(JudgeStaleness({}, options, OnExpired::kFallback).verdict, PlanVerdict::kWait);
  EXPECT_EQ(JudgeStaleness({.may_wait = false}, options, OnExpired::kFallback).verdict,
            PlanVerdict::kFallback);
}

TEST(StalenessPolicy, NamesAContextFromTheFuture) {
  const StalenessOutcome outcome =
      JudgeStaleness({.newer_exists = true}, SessionOptions(), OnExpired::kFallback);
  EXPECT_TRUE(outcome.reasons.Has(Reason::kContextFromFuture));
  EXPECT_FALSE(outcome.reasons.Has(Reason::kNoContext));
}

TEST(StalenessPolicy, TreatsAChangedRouteAsTheSessionSays) {
  StalenessInputs inputs = Aged(100'000);
  inputs.route_changed = true;
  SessionOptions options;
  EXPECT_TRUE(
      JudgeStaleness(inputs, options, OnExpired::kFallback).reasons.Has(Reason::kRouteChanged));
  options.on_route_change = OnRouteChange::kUse;
  EXPECT_TRUE(JudgeStaleness(inputs, options, OnExpired::kFallback).reasons.empty());
  options.on_route_change = OnRouteChange::kFallback;
  EXPECT_EQ(JudgeStaleness(inputs, options, OnExpired::kFallback).verdict, PlanVerdict::kFallback);
}

TEST(RecoveryTracker, ReturnsToNormalAfterTwoConsecutiveFreshSnapshots) {
  RecoveryTracker tracker;
  const SnapshotId v1{1, 1, 1, 1}, v2{1, 1, 1, 2}, v3{1, 1, 1, 3}, v4{1, 1, 1, 4};
  EXPECT_FALSE(tracker.Observe(v1, false));
  EXPECT_FALSE(tracker.Observe(v1, true)) << "the expiry's own policy decides";
  EXPECT_TRUE(tracker.Observe(v2, false)) << "one fresh snapshot is not enough";
  EXPECT_TRUE(tracker.Observe(v2, false)) << "nor is the same one twice";
  EXPECT_FALSE(tracker.Observe(v3, false));
  EXPECT_FALSE(tracker.Observe(v3, true));
  EXPECT_TRUE(tracker.Observe(v4, false));
  EXPECT_FALSE(tracker.Observe(v4, true)) << "an expiry in between starts again";
  EXPECT_TRUE(tracker.Observe(v1, false));
}

TEST(SessionTime, RefusesTimeThatRunsBackAndFlagsAJump) {
  EXPECT_TRUE(CheckSessionTime(std::nullopt, 0)->empty()) << "0 is legal";
  EXPECT_TRUE(CheckSessionTime(5, 5)->empty());
  const auto back = CheckSessionTime(1'000'000, 999'999);
  EXPECT_EQ(back.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(back.status().message().find("observation.capture_time_us is 999999"),
            std::string::npos);
  EXPECT_FALSE(CheckSessionTime(0, 2'000'000)->Has(Reason::kTimeJump));
  EXPECT_TRUE(CheckSessionTime(0, 2'000'001)->Has(Reason::kTimeJump));
}

SessionOptions Stepped(SessionTimeUs latency_us) {
  SessionOptions options;
  options.time_mode = TimeMode::kStepped;
  options.planning_rate_hz = 20;
  options.reasoning_rate_hz = 2;
  options.simulated_latency_us = latency_us;
  return options;
}

TEST(RefreshSchedule, AsksOncePerPeriodOfSessionTimeAndWaitsForIt) {
  RefreshSchedule schedule(Stepped(0));
  EXPECT_TRUE(schedule.Offer(0, 0, false));
  EXPECT_EQ(schedule.Required(0), 0);
  for (SessionTimeUs t = 50'000; t < 500'000; t += 50'000) {
    EXPECT_FALSE(schedule.Offer(t, t, false));
    EXPECT_EQ(schedule.Required(t), 0) << "staleness stays below one period";
  }
  EXPECT_TRUE(schedule.Offer(500'000, 500'000, false));
  EXPECT_EQ(schedule.Required(500'000), 500'000);
}

TEST(RefreshSchedule, RequiresOnlyWhatTheSimulatedLatencyHasMadeVisible) {
  RefreshSchedule schedule(Stepped(300'000));
  schedule.Offer(0, 0, false);
  EXPECT_EQ(schedule.Required(250'000), std::nullopt);
  EXPECT_EQ(schedule.Required(300'000), 0);
  schedule.Offer(500'000, 500'000, false);
  EXPECT_EQ(schedule.Required(750'000), 0);
  EXPECT_EQ(schedule.Required(800'000), 500'000);
}

TEST(RefreshSchedule, RefreshesEveryNthTickInLockstep) {
  SessionOptions options = Stepped(0);
  options.time_mode = TimeMode::kLockstep;
  options.lockstep_ticks = 2;
  RefreshSchedule schedule(options);
  EXPECT_TRUE(schedule.Offer(0, 0, false));
  EXPECT_FALSE(schedule.Offer(50'000, 50'000, false));
  EXPECT_EQ(schedule.Required(50'000), 0);
  EXPECT_TRUE(schedule.Offer(100'000, 100'000, false));
  EXPECT_EQ(schedule.Required(100'000), 100'000);
}

TEST(RefreshSchedule, AChangedRouteIsDueAheadOfTheSchedule) {
  RefreshSchedule schedule(Stepped(0));
  schedule.Offer(0, 0, false);
  EXPECT_TRUE(schedule.Offer(50'000, 50'000, /*early=*/true));
  EXPECT_EQ(schedule.Required(50'000), 50'000);
  EXPECT_TRUE(schedule.Offer(500'000, 500'000, false)) << "the schedule itself is not moved";
}

TEST(RefreshSchedule, NeverMakesARealtimePlanWait) {
  RefreshSchedule schedule{SessionOptions()};
  EXPECT_TRUE(schedule.Offer(0, 0, false));
  EXPECT_EQ(schedule.Required(0), std::nullopt);
}

}  // namespace
}  // namespace automot::planning
