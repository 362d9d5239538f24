// automot-planning: the planning service as a process of its own.
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
#include "services/planning/lane/lane_choice.h"
#include "services/planning/planning_flags.h"
#include "services/planning/planning_metrics_prometheus.h"

namespace {

using namespace automot;            // NOLINT(google-build-using-namespace): this program's own
using namespace automot::planning;  // NOLINT(google-build-using-namespace)

constexpr char kProgram[] = "automot-planning";

// Defaults are derived from the machine: what came of it is said once.
void LogStart(const PlanningFlags& flags, const PlanningEngine& engine, const std::string& isa) {
  AUTOMOT_LOG(kInfo, "start",
              {{"program", kProgram},
               {"model_revision", engine.model().model_revision},
               {"weights", engine.model().weights_trained ? "trained" : "untrained"},
               {"lane", context::ToString(engine.lane())},
               {"cores", AvailableCores()},
               {"planner_core", flags.engine.loop.pinned_core},
               {"planner_threads", flags.expert.threads},
               {"onednn_max_cpu_isa", isa}});
}

absl::Status Serve(PlanningProgramFlags& flags, const egodriver::EgodriverFlags& egodriver_flags,
                   const std::string& isa, TerminationSignals& signals) {
  AUTOMOT_ASSIGN_OR_RETURN(flags.lane.credentials, rpc::ChannelCredentialsFor(flags.lane_tls));
  const MonotonicClock clock;
  metrics::Registry registry;
  metrics::AddProcessMetrics(&registry);
  PrometheusPlanningMetrics metrics(&registry, &clock);
  egodriver::PrometheusEgodriverMetrics egodriver_metrics(&registry);
  AUTOMOT_ASSIGN_OR_RETURN(
      const auto metrics_server,
      metrics::MetricsServer::Start({flags.shared.metrics_address, flags.shared.tls.insecure},
                                    &registry));
  AUTOMOT_ASSIGN_OR_RETURN(const auto expert, LoadTorchActionExpert(flags.planning.expert));
  AUTOMOT_ASSIGN_OR_RETURN(const LaneChoice choice, ChooseLane(flags.wanted_lane, flags.lane));
  flags.lane.lane = choice.lane;
  AUTOMOT_ASSIGN_OR_RETURN(const auto channel, GrpcSnapshotChannel::Create(flags.lane));
  AUTOMOT_ASSIGN_OR_RETURN(const auto recording,
                           StartRecording(flags.planning.recording,
                                          {kProgram, flags.planning.expert, flags.planning.engine,
                                           expert->info().model_revision, isa},
                                          &clock));
  AUTOMOT_ASSIGN_OR_RETURN(
      const auto engine, PlanningEngine::Create(flags.planning.engine, expert.get(), channel.get(),
                                                &clock, &metrics, recording.get()));
  metrics.Describe(engine->model(), engine->lane());
  const PrometheusPlanningMetrics::Connection connection(
      &metrics, {[&] { return engine->load(); }, [&] { return channel->stats(); },
                 [&] { return engine->memory_stats(); }, RecordingSource(recording.get())});
  AUTOMOT_ASSIGN_OR_RETURN(
      const auto port, egodriver::PlanningPort::Open(flags.planning, egodriver_flags, engine.get(),
                                                     &clock, &metrics, &egodriver_metrics));
  LogStart(flags.planning, *engine, isa);
  metrics.SetReady(true);
  AnnounceListening({{"planning", port->address()}, {"metrics", metrics_server->address()}});
  signals.Wait();
  metrics.SetReady(false);
  port->Drain();
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  automot::rpc::PrepareProcessForSnapshots();
  automot::rpc::RaiseFileLimit();
  const std::string isa = automot::LimitOneDnnIsa();
  TerminationSignals signals;
  egodriver::EgodriverFlags egodriver_flags;
  auto flags = ParsePlanningFlags(argc, argv,
                                  [&](CLI::App& app) { AddEgodriverFlags(app, egodriver_flags); });
  if (!flags.ok()) return EndProgram(kProgram, kExitBadUsage, flags.status());
  logging::SetLevel(logging::ParseLevel(flags->shared.log_level).value());
  const absl::Status status = Serve(*flags, egodriver_flags, isa, signals);
  return status.ok() ? 0 : EndProgram(kProgram, kExitFailed, status);
}
