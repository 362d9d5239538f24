#include "common/control/decision_agreement.h"

#include <array>
#include <cmath>
#include <cstdlib>
#include <optional>

namespace automot::control {
namespace {

constexpr double kStandingMps = 0.5;
constexpr double kClearChangeMps = 0.5;
constexpr double kNoiseMps = 0.1;
constexpr double kKeepMps = 1.0;
constexpr int kSegmentsPerSlot = 2;  // a slot speaks of one second

bool HasWord(const DecisionSlot& slot) {
  return slot.longitudinal != LongitudinalAction::kUnspecified &&
         slot.longitudinal != LongitudinalAction::kUnparsed;
}

bool SameMoment(const DecisionSlot& a, const DecisionSlot& b) {
  return std::llabs(a.time_us - b.time_us) < kSameMomentUs;
}

bool SameAction(const DecisionSlot& a, const DecisionSlot& b) {
  const bool both_lateral =
      a.lateral != LateralAction::kUnspecified && b.lateral != LateralAction::kUnspecified;
  return a.longitudinal == b.longitudinal && (!both_lateral || a.lateral == b.lateral);
}

// Mean speed over each half second; element 0 is the ego's own speed.
using Speeds = std::array<double, kWaypoints + 1>;

std::optional<Speeds> SpeedsAlong(const Trajectory& trajectory, double speed_mps) {
  Speeds speeds{};
  speeds[0] = speed_mps;
  Vec2 last;
  for (int i = 0; i < kWaypoints; ++i) {
    const Vec2 point = trajectory.waypoints[i];
    speeds[i + 1] = std::hypot(point.x - last.x, point.y - last.y) / kWaypointSpacingSeconds;
    last = point;
  }
  for (const double speed : speeds) {
    if (!std::isfinite(speed)) return std::nullopt;
  }
  return speeds;
}

bool Does(LongitudinalAction action, double before, double after) {
  const double change = after - before;
  switch (action) {
    case LongitudinalAction::kStop:
      return after <= kStandingMps || change <= -kClearChangeMps;
    case LongitudinalAction::kSlow:
      return after <= kStandingMps || change <= kNoiseMps;
    case LongitudinalAction::kKeep:
      return std::abs(change) <= kKeepMps;
    case LongitudinalAction::kAccelerate:
      return change >= -kNoiseMps;
    case LongitudinalAction::kUnspecified:
    case LongitudinalAction::kUnparsed:
      break;
  }
  return false;
}

// Index into Speeds of the start of the second that `slot` speaks of; none beyond the waypoints.
std::optional<int> StartOf(const DecisionSlot& slot, SessionTimeUs capture_us) {
  const double offset_s = static_cast<double>(slot.time_us - capture_us) * 1e-6;
  const double start = std::round(offset_s / kWaypointSpacingSeconds);
  if (!(start >= 0.0 && start + kSegmentsPerSlot <= kWaypoints)) return std::nullopt;
  return static_cast<int>(start);
}

}  // namespace

DecisionAgreement CompareDecisions(const Decision* snapshot, const Decision* tick) {
  if (snapshot == nullptr || tick == nullptr) return kAgreementNotComparable;
  DecisionAgreement agreement = kAgreementNotComparable;
  for (int i = 0; i < snapshot->slot_count; ++i) {
    for (int j = 0; j < tick->slot_count; ++j) {
      const DecisionSlot &a = snapshot->slots[i], &b = tick->slots[j];
      if (!HasWord(a) || !HasWord(b) || !SameMoment(a, b)) continue;
      if (!SameAction(a, b)) return kAgreementDisagree;
      agreement = kAgreementAgree;
    }
  }
  return agreement;
}

DecisionConsistency CheckConsistency(const Decision* decision, const Trajectory& trajectory,
                                     double speed_mps) {
  if (decision == nullptr || decision->slot_count == 0) return kConsistencyNotComparable;
  const std::optional<Speeds> speeds = SpeedsAlong(trajectory, speed_mps);
  if (!speeds) return kConsistencyNotComparable;
  DecisionConsistency consistency = kConsistencyNotComparable;
  for (int i = 0; i < decision->slot_count; ++i) {
    const DecisionSlot& slot = decision->slots[i];
    const std::optional<int> start = StartOf(slot, decision->slots[0].time_us);
    if (!HasWord(slot) || !start) continue;
    if (!Does(slot.longitudinal, (*speeds)[*start], (*speeds)[*start + kSegmentsPerSlot])) {
      return kConsistencyInconsistent;
    }
    consistency = kConsistencyConsistent;
  }
  return consistency;
}

}  // namespace automot::control
