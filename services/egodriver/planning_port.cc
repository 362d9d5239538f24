#include "services/egodriver/planning_port.h"

#include "common/status/status_macros.h"

namespace automot::egodriver {

PlanningPort::PlanningPort(const planning::PlanningFlags& planning,
                           planning::PlanningEngine* engine, const Clock* clock,
                           planning::PlanningMetrics* metrics)
    : allow_list_(planning.server.tls),
      quotas_(planning.quotas, clock,
              [metrics](rpc::ClientQuota quota) { metrics->CountQuotaRefusal(quota); }),
      context_{engine, clock, metrics, {&allow_list_, &quotas_}} {}

absl::StatusOr<std::unique_ptr<PlanningPort>> PlanningPort::Open(
    const planning::PlanningFlags& planning, const EgodriverFlags& egodriver,
    planning::PlanningEngine* engine, const Clock* clock, planning::PlanningMetrics* metrics,
    EgodriverMetrics* egodriver_metrics) {
  std::unique_ptr<PlanningPort> port(new PlanningPort(planning, engine, clock, metrics));
  AUTOMOT_ASSIGN_OR_RETURN(port->egodriver_,
                           EgodriverPort::Create(egodriver, port->context_, egodriver_metrics));
  AUTOMOT_ASSIGN_OR_RETURN(port->server_,
                           planning::PlanningServer::Start(planning.server, port->context_,
                                                           port->egodriver_.extension()));
  return port;
}

}  // namespace automot::egodriver
