// The planning port as a program opens it: who may call and how much, the planning service, and
// the egodriver service beside it where that is on.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/rpc/client_quotas.h"
#include "common/rpc/credentials.h"
#include "services/egodriver/egodriver_flags.h"
#include "services/egodriver/egodriver_port.h"
#include "services/planning/planning_flags.h"
#include "services/planning/planning_server.h"

namespace automot::egodriver {

// For the thread that starts and drains the program.
class PlanningPort {
 public:
  // Listens when it returns. `engine`, `clock` and the metrics must outlive it. Errors: those of
  // PlanningServer::Start and EgodriverEngine::Create.
  static absl::StatusOr<std::unique_ptr<PlanningPort>> Open(const planning::PlanningFlags& planning,
                                                            const EgodriverFlags& egodriver,
                                                            planning::PlanningEngine* engine,
                                                            const Clock* clock,
                                                            planning::PlanningMetrics* metrics,
                                                            EgodriverMetrics* egodriver_metrics);
  PlanningPort(const PlanningPort&) = delete;

  // As PlanningServer has them.
  const std::string& address() const { return server_->address(); }
  void Drain() { server_->Drain(); }

 private:
  PlanningPort(const planning::PlanningFlags& planning, planning::PlanningEngine* engine,
               const Clock* clock, planning::PlanningMetrics* metrics);

  const rpc::ClientAllowList allow_list_;
  rpc::ClientQuotas quotas_;
  const planning::PlanningContext context_;
  EgodriverPort egodriver_;
  std::unique_ptr<planning::PlanningServer> server_;
};

}  // namespace automot::egodriver
