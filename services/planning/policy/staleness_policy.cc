#include "services/planning/policy/staleness_policy.h"

namespace automot::planning {
namespace {

PlanVerdict OnExpiry(OnExpired on_expired, bool may_wait) {
  switch (on_expired) {
    case OnExpired::kFallback:
      return PlanVerdict::kFallback;
    case OnExpired::kAnswer:
      return PlanVerdict::kPlan;
    case OnExpired::kReject:
      return PlanVerdict::kReject;
    case OnExpired::kWait:
      return may_wait ? PlanVerdict::kWait : PlanVerdict::kFallback;
  }
  return PlanVerdict::kFallback;
}

// Before the episode's first context, or in front of one that is newer than the observation.
PlanVerdict OnAbsence(OnNoContext on_no_context, bool may_wait) {
  switch (on_no_context) {
    case OnNoContext::kFallback:
      return PlanVerdict::kFallback;
    case OnNoContext::kReject:
      return PlanVerdict::kReject;
    case OnNoContext::kPark:
      return may_wait ? PlanVerdict::kWait : PlanVerdict::kFallback;
  }
  return PlanVerdict::kFallback;
}

StalenessOutcome WithoutContext(const StalenessInputs& inputs, const SessionOptions& options,
                                OnExpired on_expired) {
  StalenessOutcome outcome;
  if (inputs.newer_exists) {
    // No later context is older: waiting does not help.
    outcome.reasons.Add(Reason::kContextFromFuture);
    outcome.verdict = OnAbsence(options.on_no_context, /*may_wait=*/false);
  } else if (inputs.had_context) {
    // It ran out of retention, which is beyond the hard limit.
    outcome.reasons.Add(Reason::kNoContext);
    outcome.reasons.Add(Reason::kExpired);
    outcome.verdict = OnExpiry(on_expired, inputs.may_wait);
    if (outcome.verdict == PlanVerdict::kPlan) outcome.verdict = PlanVerdict::kFallback;
  } else {
    outcome.reasons.Add(Reason::kNoContext);
    outcome.verdict = OnAbsence(options.on_no_context, inputs.may_wait);
  }
  return outcome;
}

}  // namespace

StalenessOutcome JudgeStaleness(const StalenessInputs& inputs, const SessionOptions& options,
                                OnExpired on_expired) {
  if (!inputs.has_context) return WithoutContext(inputs, options, on_expired);
  StalenessOutcome outcome;
  if (inputs.route_changed && options.on_route_change != OnRouteChange::kUse) {
    outcome.reasons.Add(Reason::kRouteChanged);
    if (options.on_route_change == OnRouteChange::kFallback)
      outcome.verdict = PlanVerdict::kFallback;
  }
  if (inputs.staleness_us > options.soft_staleness_us) outcome.reasons.Add(Reason::kStale);
  if (inputs.staleness_us > options.hard_staleness_us) {
    outcome.reasons.Add(Reason::kExpired);
    const PlanVerdict verdict = OnExpiry(on_expired, inputs.may_wait);
    if (verdict != PlanVerdict::kPlan) outcome.verdict = verdict;
  }
  return outcome;
}

bool RecoveryTracker::Observe(const SnapshotId& used, bool expired) {
  if (expired) {
    missing_ = kFreshSnapshots;
    last_ = used;
    return false;  // the expiry's own policy decides
  }
  if (missing_ > 0 && used != last_) {
    last_ = used;
    --missing_;
  }
  return missing_ > 0;
}

}  // namespace automot::planning
