// What the handlers of the egodriver service may touch.
#pragma once

#include "common/rpc/credentials.h"
#include "common/time/clock.h"
#include "services/egodriver/egodriver_engine.h"
#include "services/egodriver/egodriver_metrics.h"

namespace automot::egodriver {

// Constant while serving; the engine is thread-safe.
struct EgodriverContext {
  EgodriverEngine* engine = nullptr;
  const Clock* clock = nullptr;
  EgodriverMetrics* metrics = nullptr;
  const rpc::ClientAllowList* allow_list = nullptr;
};

}  // namespace automot::egodriver
