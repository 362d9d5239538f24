// automot-reasoning: the reasoning service as a process of its own.
#include <signal.h>
#include <unistd.h>

#include <atomic>

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
#include "services/reasoning/reasoning_flags.h"
#include "services/reasoning/reasoning_metrics.h"
#include "services/reasoning/shared_memory_setup.h"

namespace {

using automot::EndProgram;
using automot::reasoning::ReasoningEngine;
using automot::reasoning::ReasoningServer;

constexpr char kProgram[] = "automot-reasoning";

// Faults on purpose must not look like faults: each is told, with the seed that repeats it.
automot::reasoning::ReasoningServerOptions ServerOptions(
    const automot::reasoning::ReasoningProgramFlags& flags) {
  automot::reasoning::ReasoningServerOptions options = flags.reasoning.server;
  if (!options.chaos_seed) return options;
  AUTOMOT_LOG(kWarning, "chaos_on", {{"seed", *options.chaos_seed}, {"lane", "grpc"}});
  options.on_chaos = [](const automot::context::SnapshotHeader& header, uint64_t plan_seed,
                        const std::vector<automot::faults::FaultKind>& injected) {
    std::string kinds;
    for (const automot::faults::FaultKind kind : injected) {
      kinds += (kinds.empty() ? "" : ",") + std::string(ToString(kind));
    }
    AUTOMOT_LOG(kWarning, "chaos",
                {{"injected", kinds}, {"plan_seed", plan_seed}, {"version", header.id.version}});
  };
  return options;
}

int Run(automot::reasoning::ReasoningProgramFlags& flags, const std::string& isa,
        automot::TerminationSignals& signals) {
  auto factory = automot::reasoning::TorchExpertFactory(flags.reasoning.expert);
  if (!factory.ok()) return EndProgram(kProgram, automot::kExitBadUsage, factory.status());
  const automot::MonotonicClock clock;
  automot::metrics::Registry registry;
  automot::metrics::AddProcessMetrics(&registry);
  automot::reasoning::PrometheusReasoningEvents events(&registry, &clock);
  auto metrics_server = automot::metrics::MetricsServer::Start(
      {flags.shared.metrics_address, flags.shared.tls.insecure}, &registry);
  if (!metrics_server.ok()) {
    return EndProgram(kProgram, automot::kExitFailed, metrics_server.status());
  }
  const absl::Status shared = automot::reasoning::SetUpSharedMemory(
      flags.reasoning.shared_memory_socket, flags.reasoning.engine, flags.reasoning.server);
  if (!shared.ok()) return EndProgram(kProgram, automot::kExitFailed, shared);
  ReasoningEngine engine(flags.reasoning.engine, *std::move(factory), &clock, &events);
  AUTOMOT_LOG(kInfo, "start",
              {{"program", kProgram},
               {"cores", automot::AvailableCores()},
               {"reasoning_threads", automot::reasoning::ThreadsFor(flags.reasoning.expert)},
               {"onednn_max_cpu_isa", isa}});
  auto server = ReasoningServer::Start(ServerOptions(flags), &engine);
  if (!server.ok()) return EndProgram(kProgram, automot::kExitFailed, server.status());
  automot::AnnounceListening(
      {{"reasoning", (*server)->address()}, {"metrics", (*metrics_server)->address()}});
  // A process whose checkpoint cannot be loaded is of no use: whoever started it should know.
  std::atomic<int> exit_code{0};
  engine.NotifyWhenReady([&exit_code](const absl::Status& status) {
    if (status.ok()) return;
    exit_code = EndProgram(kProgram, automot::kExitFailed, status);
    kill(getpid(), SIGTERM);
  });
  signals.Wait();
  (*server)->Drain();
  return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  automot::rpc::PrepareProcessForSnapshots();
  automot::rpc::RaiseFileLimit();
  const std::string isa = automot::LimitOneDnnIsa();
  automot::TerminationSignals signals;
  auto flags = automot::reasoning::ParseReasoningFlags(argc, argv);
  if (!flags.ok()) return EndProgram(kProgram, automot::kExitBadUsage, flags.status());
  automot::logging::SetLevel(automot::logging::ParseLevel(flags->shared.log_level).value());
  return Run(*flags, isa, signals);
}
