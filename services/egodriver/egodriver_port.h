// The egodriver service as a program wires it in: engine and server together, or nothing where it
// is switched off.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "services/egodriver/egodriver_flags.h"
#include "services/egodriver/egodriver_server.h"
#include "services/planning/handlers/planning_context.h"

namespace automot::egodriver {

// Destroyed after the planning server and before its engine.
class EgodriverPort {
 public:
  // What `planning` points to and `metrics` must outlive it. Where the checkpoint's
  // target_point_rule is not known it is off, with a warning.
  static absl::StatusOr<EgodriverPort> Create(const EgodriverFlags& flags,
                                              const planning::PlanningContext& planning,
                                              EgodriverMetrics* metrics);

  // Null where it is off.
  planning::PortExtension* extension() const { return server_.get(); }

 private:
  std::unique_ptr<EgodriverEngine> engine_;
  std::unique_ptr<EgodriverServer> server_;
};

}  // namespace automot::egodriver
