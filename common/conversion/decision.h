// automot.v1.Decision <-> Decision.
#pragma once

#include "absl/status/statusor.h"
#include "automot/v1/decision.pb.h"
#include "common/types/trajectory.h"

namespace automot::conversion {

void DecisionToProto(const Decision& decision, v1::Decision* proto);

// INVALID_ARGUMENT naming field, value and limit: more than 3 slots, text above 31 bytes, a
// probability outside [0, 1], an unknown action. Slots beyond the message's are default.
absl::StatusOr<Decision> DecisionFromProto(const v1::Decision& proto);

}  // namespace automot::conversion
