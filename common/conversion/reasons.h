// A set of automot.v1.Reason <-> ReasonSet.
#pragma once

#include <google/protobuf/repeated_field.h>

#include "automot/v1/trajectory.pb.h"
#include "common/types/trajectory.h"

namespace automot::conversion {

// Every enumerator of Reason has the wire's number less one.
static_assert(static_cast<int>(Reason::kStale) + 1 == v1::REASON_STALE);
static_assert(static_cast<int>(Reason::kModalitySkew) + 1 == v1::REASON_MODALITY_SKEW);
static_assert(kReasonCount == v1::Reason_ARRAYSIZE - 1);

inline void ReasonsToProto(ReasonSet reasons, google::protobuf::RepeatedField<int>* proto) {
  for (int i = 0; i < kReasonCount; ++i) {
    if (reasons.Has(static_cast<Reason>(i))) proto->Add(i + 1);
  }
}

// Unknown numbers (of a newer peer) are left out.
inline ReasonSet ReasonsFromProto(const google::protobuf::RepeatedField<int>& proto) {
  ReasonSet reasons;
  for (int value : proto) {
    if (value >= 1 && value <= kReasonCount) reasons.Add(static_cast<Reason>(value - 1));
  }
  return reasons;
}

}  // namespace automot::conversion
