// How a decision compares with another one, and with the trajectory planned along with it
// (semantics 7). Pure; allocates nothing.
#pragma once

#include <cstdint>

#include "common/types/observation.h"
#include "common/types/trajectory.h"

namespace automot::control {

// Both count as the enums of automot.v1 do. Unscoped with a fixed type: an answer keeps the number.
enum DecisionAgreement : uint8_t {
  kAgreementUnspecified = 0,
  kAgreementNotComparable = 1,
  kAgreementAgree = 2,
  kAgreementDisagree = 3,
};

enum DecisionConsistency : uint8_t {
  kConsistencyUnspecified = 0,
  kConsistencyNotComparable = 1,
  kConsistencyConsistent = 2,
  kConsistencyInconsistent = 3,
};

// Slots closer than this speak of the same moment: the skew up to which modalities count as
// simultaneous (semantics 1).
inline constexpr SessionTimeUs kSameMomentUs = 100'000;

// The snapshot's decision against the tick's, on overlapping times only: slots of the same moment
// that both have a word (longitudinal, and lateral where both have one). Not comparable where no
// such pair exists, or a decision is null.
DecisionAgreement CompareDecisions(const Decision* snapshot, const Decision* tick);

// Whether the waypoints' speeds do what the decision says. Slot i speaks of the second from its
// offset to slot 0 on, slot 0 of the capture time. `before` is the speed at its start (the ego's
// own, or the mean over the half second that ends there), `after` the mean over its last half
// second:
//
//   stop        after <= 0.5 m/s, or at least 0.5 m/s slower
//   slow        after <= 0.5 m/s, or not faster by more than 0.1 m/s
//   keep        changed by at most 1 m/s
//   accelerate  not slower by more than 0.1 m/s
//
// Inconsistent where one slot is. Slots without a word, or beyond the waypoints, do not count; not
// comparable where none counts, the decision is null, or a number is not finite.
DecisionConsistency CheckConsistency(const Decision* decision, const Trajectory& trajectory,
                                     double speed_mps);

}  // namespace automot::control
