#include "services/planning/policy/staleness_policy.h"

namespace automot::planning {
namespace {

StalenessOutcome WithoutContext(const StalenessInputs& inputs, const SessionOptions& options) {
  StalenessOutcome outcome;
  outcome.reasons.Add(inputs.newer_exists ? Reason::kContextFromFuture : Reason::kNoContext);
  switch (options.on_no_context) {
    case OnNoContext::kFallback:
      outcome.verdict = PlanVerdict::kFallback;
      break;
    case OnNoContext::kReject:
      outcome.verdict = PlanVerdict::kReject;
      break;
    case OnNoContext::kPark:
      // Waiting helps before the first snapshot; a context that has run out of retention is handled
      // like an expired one.
      outcome.verdict =
          inputs.may_wait && !inputs.had_context ? PlanVerdict::kWait : PlanVerdict::kFallback;
      break;
  }
  return outcome;
}

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

}  // namespace

StalenessOutcome JudgeStaleness(const StalenessInputs& inputs, const SessionOptions& options,
                                OnExpired on_expired) {
  if (!inputs.has_context) return WithoutContext(inputs, options);
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
