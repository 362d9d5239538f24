// PlanFailure -> absl::Status, off the planning thread.
#pragma once

#include "absl/status/status.h"
#include "services/planning/plan_work.h"

namespace automot::planning {

// OK where the plan has an answer. Messages name field, value and limit.
absl::Status PlanFailureStatus(const PlanWork& work);

}  // namespace automot::planning
