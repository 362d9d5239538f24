// What the handlers of the egodriver service may touch.
#pragma once

#include "common/rpc/call_admission.h"
#include "common/time/clock.h"
#include "services/egodriver/egodriver_engine.h"
#include "services/egodriver/egodriver_metrics.h"

namespace automot::egodriver {

// Constant while serving; the engine is thread-safe.
struct EgodriverContext {
  EgodriverEngine* engine = nullptr;
  const Clock* clock = nullptr;
  EgodriverMetrics* metrics = nullptr;
  rpc::CallAdmission admission;  // the planning port's
};

}  // namespace automot::egodriver
