// What the handlers of the planning service may touch.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "common/rpc/call_admission.h"
#include "common/time/clock.h"
#include "services/planning/planning_engine.h"
#include "services/planning/planning_metrics.h"

namespace automot::planning {

// Constant while serving; the engine is thread-safe.
struct PlanningContext {
  PlanningEngine* engine = nullptr;
  const Clock* clock = nullptr;
  PlanningMetrics* metrics = nullptr;
  rpc::CallAdmission admission;
};

}  // namespace automot::planning
