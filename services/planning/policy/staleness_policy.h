// From the age of a context to what a plan does (semantics 4 and 6). Pure; allocates nothing.
#pragma once

#include <cstdint>

#include "common/types/snapshot_id.h"
#include "common/types/trajectory.h"
#include "services/planning/session_options.h"

namespace automot::planning {

enum class PlanVerdict : uint8_t { kPlan, kFallback, kReject, kWait };

struct StalenessInputs {
  bool has_context = false;        // a visible context not beyond retention
  bool newer_exists = false;       // without one: a context newer than the observation exists
  bool had_context = false;        // without one: the episode had a context before
  SessionTimeUs staleness_us = 0;  // with a context
  bool route_changed = false;      // with a context
  bool may_wait = true;            // false: the plan has waited as long as it may
};

struct StalenessOutcome {
  PlanVerdict verdict = PlanVerdict::kPlan;
  ReasonSet reasons;
};

// `on_expired` is the request's, else the session's.
StalenessOutcome JudgeStaleness(const StalenessInputs& inputs, const SessionOptions& options,
                                OnExpired on_expired);

// After an expiry answers are the fallback until two consecutive snapshots were fresh (semantics
// 6). One per session.
class RecoveryTracker {
 public:
  // Takes the outcome of a tick into account. True where the plan must still be the fallback.
  bool Observe(const SnapshotId& used, bool expired);
  bool recovering() const { return missing_ > 0; }
  void Reset() { *this = RecoveryTracker(); }

 private:
  static constexpr int kFreshSnapshots = 2;
  int missing_ = 0;  // fresh snapshots still to come
  SnapshotId last_;
};

}  // namespace automot::planning
