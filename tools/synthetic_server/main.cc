// automot-synthetic-server: the planning service without a model, for load and protocol tests.
#include "common/concurrency/thread_placement.h"
#include "common/logging/log.h"
#include "common/metrics/metrics_server.h"
#include "common/metrics/process_metrics.h"
#include "common/rpc/server_limits.h"
#include "common/rpc/snapshot_transport.h"
#include "common/runtime/announce.h"
#include "common/runtime/program_exit.h"
#include "common/runtime/termination.h"
#include "common/status/status_macros.h"
#include "services/egodriver/egodriver_metrics_prometheus.h"
#include "services/egodriver/planning_port.h"
#include "services/planning/planning_metrics_prometheus.h"
#include "tools/synthetic_server/synthetic_server_flags.h"

namespace {

using namespace automot;            // NOLINT(google-build-using-namespace): this program's own
using namespace automot::planning;  // NOLINT(google-build-using-namespace)

constexpr char kProgram[] = "automot-synthetic-server";

void LogStart(const synthetic::SyntheticServerFlags& flags, const PlanningEngine& engine) {
  AUTOMOT_LOG(kWarning, "start",
              {{"program", kProgram},
               {"model_revision", engine.model().model_revision},
               {"weights", "none: answers are not for driving"},
               {"expert_ms", absl::ToDoubleMilliseconds(flags.expert.duration)},
               {"reasoning_ms", absl::ToDoubleMilliseconds(flags.producer.duration)},
               {"cores", AvailableCores()},
               {"planner_core", flags.planning.engine.loop.pinned_core}});
}

absl::Status Serve(const synthetic::SyntheticServerFlags& flags,
                   const egodriver::EgodriverFlags& egodriver_flags, TerminationSignals& signals) {
  const MonotonicClock clock;
  metrics::Registry registry;
  metrics::AddProcessMetrics(&registry);
  PrometheusPlanningMetrics metrics(&registry, &clock);
  egodriver::PrometheusEgodriverMetrics egodriver_metrics(&registry);
  AUTOMOT_ASSIGN_OR_RETURN(
      const auto metrics_server,
      metrics::MetricsServer::Start({flags.shared.metrics_address, flags.shared.tls.insecure},
                                    &registry));
  const auto expert = synthetic::MakeSyntheticExpert(flags.expert);
  synthetic::SyntheticProducer producer(flags.producer);
  AUTOMOT_ASSIGN_OR_RETURN(
      const auto engine,
      PlanningEngine::Create(flags.planning.engine, expert.get(), &producer, &clock, &metrics));
  metrics.Describe(engine->model(), engine->lane());
  const PrometheusPlanningMetrics::Connection connection(
      &metrics, {[&] { return engine->load(); }, [&] { return producer.stats(); },
                 [&] { return engine->memory_stats(); }});
  AUTOMOT_ASSIGN_OR_RETURN(
      const auto port, egodriver::PlanningPort::Open(flags.planning, egodriver_flags, engine.get(),
                                                     &clock, &metrics, &egodriver_metrics));
  LogStart(flags, *engine);
  metrics.SetReady(true);
  AnnounceListening({{"planning", port->address()}, {"metrics", metrics_server->address()}});
  signals.Wait();
  metrics.SetReady(false);
  port->Drain();
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  rpc::PrepareProcessForSnapshots();
  rpc::RaiseFileLimit();
  TerminationSignals signals;
  egodriver::EgodriverFlags egodriver_flags;
  const auto flags = synthetic::ParseSyntheticServerFlags(
      argc, argv, [&](CLI::App& app) { AddEgodriverFlags(app, egodriver_flags); });
  if (!flags.ok()) return EndProgram(kProgram, kExitBadUsage, flags.status());
  logging::SetLevel(logging::ParseLevel(flags->shared.log_level).value());
  const absl::Status status = Serve(*flags, egodriver_flags, signals);
  return status.ok() ? 0 : EndProgram(kProgram, kExitFailed, status);
}
