// automot-serve: both services in one process, the embedded default. The reasoning engine is the
// planning engine's snapshot channel, so that snapshots are handed over by pointer.
#include "common/concurrency/thread_placement.h"
#include "common/logging/log.h"
#include "common/metrics/metrics_server.h"
#include "common/metrics/process_metrics.h"
#include "common/rpc/server_limits.h"
#include "common/rpc/snapshot_transport.h"
#include "common/runtime/announce.h"
#include "common/runtime/cpu_isa.h"
#include "common/runtime/program_exit.h"
#include "common/runtime/termination.h"
#include "common/status/status_macros.h"
#include "services/egodriver/egodriver_metrics_prometheus.h"
#include "services/egodriver/planning_port.h"
#include "services/planning/planning_metrics_prometheus.h"
#include "services/reasoning/reasoning_metrics.h"
#include "services/reasoning/shared_memory_setup.h"
#include "services/serve/serve_flags.h"

namespace {

using namespace automot;  // NOLINT(google-build-using-namespace): this program's own

constexpr char kProgram[] = "automot-serve";
constexpr absl::Duration kLoadLimit = absl::Minutes(30);

// Defaults are derived from the machine: what came of it is said once.
void LogStart(const serve::ServeFlags& flags, const planning::PlanningEngine& engine,
              const std::string& isa) {
  AUTOMOT_LOG(kInfo, "start",
              {{"program", kProgram},
               {"model_revision", engine.model().model_revision},
               {"weights", engine.model().weights_trained ? "trained" : "untrained"},
               {"lane", context::ToString(engine.lane())},
               {"cores", AvailableCores()},
               {"planner_core", flags.planning.engine.loop.pinned_core},
               {"planner_threads", flags.planning.expert.threads},
               {"reasoning_threads", reasoning::ThreadsFor(flags.reasoning.expert)},
               {"onednn_max_cpu_isa", isa}});
}

absl::Status Serve(serve::ServeFlags& flags, const std::string& isa, TerminationSignals& signals) {
  const MonotonicClock clock;
  metrics::Registry registry;
  metrics::AddProcessMetrics(&registry);
  planning::PrometheusPlanningMetrics planning_metrics(&registry, &clock);
  reasoning::PrometheusReasoningEvents reasoning_events(&registry, &clock);
  egodriver::PrometheusEgodriverMetrics egodriver_metrics(&registry);
  AUTOMOT_ASSIGN_OR_RETURN(
      const auto metrics_server,
      metrics::MetricsServer::Start({flags.shared.metrics_address, flags.shared.tls.insecure},
                                    &registry));
  AUTOMOT_ASSIGN_OR_RETURN(auto factory, reasoning::TorchExpertFactory(flags.reasoning.expert));
  AUTOMOT_ASSIGN_OR_RETURN(const auto expert,
                           planning::LoadTorchActionExpert(flags.planning.expert));
  AUTOMOT_RETURN_IF_ERROR(reasoning::SetUpSharedMemory(
      flags.reasoning.shared_memory_socket, flags.reasoning.engine, flags.reasoning.server));
  reasoning::ReasoningEngine reasoning_engine(flags.reasoning.engine, std::move(factory), &clock,
                                              &reasoning_events);
  // One process, one life: it serves when both experts can.
  AUTOMOT_RETURN_IF_ERROR(reasoning_engine.WaitUntilReady(kLoadLimit));
  AUTOMOT_ASSIGN_OR_RETURN(
      const auto recording,
      planning::StartRecording(flags.planning.recording,
                               {kProgram, flags.planning.expert, flags.planning.engine,
                                expert->info().model_revision, isa},
                               &clock));
  AUTOMOT_ASSIGN_OR_RETURN(
      const auto planning_engine,
      planning::PlanningEngine::Create(flags.planning.engine, expert.get(), &reasoning_engine,
                                       &clock, &planning_metrics, recording.get()));
  AUTOMOT_ASSIGN_OR_RETURN(
      const auto reasoning_server,
      reasoning::ReasoningServer::Start(flags.reasoning.server, &reasoning_engine));
  planning_metrics.Describe(planning_engine->model(), planning_engine->lane());
  const planning::PrometheusPlanningMetrics::Connection connection(
      &planning_metrics,
      {[&] { return planning_engine->load(); }, [&] { return reasoning_engine.stats(); },
       [&] { return planning_engine->memory_stats(); },
       planning::RecordingSource(recording.get())});
  AUTOMOT_ASSIGN_OR_RETURN(
      const auto planning_port,
      egodriver::PlanningPort::Open(flags.planning, flags.egodriver, planning_engine.get(), &clock,
                                    &planning_metrics, &egodriver_metrics));
  LogStart(flags, *planning_engine, isa);
  planning_metrics.SetReady(true);
  AnnounceListening({{"planning", planning_port->address()},
                     {"reasoning", reasoning_server->address()},
                     {"metrics", metrics_server->address()}});
  signals.Wait();
  planning_metrics.SetReady(false);
  // Plans first: what they may still need of the reasoning side is there until they are answered.
  planning_port->Drain();
  reasoning_server->Drain();
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  automot::rpc::PrepareProcessForSnapshots();
  automot::rpc::RaiseFileLimit();
  const std::string isa = automot::LimitOneDnnIsa();
  TerminationSignals signals;
  auto flags = serve::ParseServeFlags(argc, argv);
  if (!flags.ok()) return EndProgram(kProgram, kExitBadUsage, flags.status());
  logging::SetLevel(logging::ParseLevel(flags->shared.log_level).value());
  const absl::Status status = Serve(*flags, isa, signals);
  return status.ok() ? 0 : EndProgram(kProgram, kExitFailed, status);
}
