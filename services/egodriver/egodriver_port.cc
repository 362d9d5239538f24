#include "services/egodriver/egodriver_port.h"

#include <utility>

#include "common/logging/log.h"
#include "common/status/status_macros.h"

namespace automot::egodriver {

absl::StatusOr<EgodriverPort> EgodriverPort::Create(const EgodriverFlags& flags,
                                                    const planning::PlanningContext& planning,
                                                    EgodriverMetrics* metrics) {
  EgodriverPort port;
  if (!flags.enabled) return port;
  auto engine = EgodriverEngine::Create(flags.engine, planning.engine, planning.clock, metrics);
  // A checkpoint that names a rule of its own still serves its own clients.
  if (absl::IsInvalidArgument(engine.status())) {
    AUTOMOT_LOG(kWarning, "egodriver_off", {{"why", engine.status().ToString()}});
    return port;
  }
  AUTOMOT_RETURN_IF_ERROR(engine.status());
  port.engine_ = *std::move(engine);
  port.server_ = std::make_unique<EgodriverServer>(
      EgodriverContext{port.engine_.get(), planning.clock, metrics, planning.admission});
  return port;
}

}  // namespace automot::egodriver
