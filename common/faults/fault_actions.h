// How each kind of fault changes messages. FaultPlan's other half.
#pragma once

#include <cstddef>
#include <random>

#include "common/faults/fault_plan.h"

namespace automot::faults {

using Random = std::mt19937_64;  // its sequence is fixed by the standard, its distributions are not

// Below `limit`; 0 where that is 0.
inline std::size_t Below(Random& random, std::size_t limit) {
  return limit == 0 ? 0 : random() % limit;
}

// False where the messages gave the fault nothing to change. Requires messages.
bool InjectOne(FaultKind kind, Random& random, FaultedMessages& faulted);

}  // namespace automot::faults
