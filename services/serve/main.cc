// automot-serve: both services in one process, the embedded default. The reasoning engine is the
// planning engine's snapshot channel, so that snapshots are handed over by pointer.
#include "common/runtime/announce.h"
#include "common/runtime/program_exit.h"
#include "common/runtime/termination.h"
#include "common/status/status_macros.h"
#include "services/serve/serve_flags.h"

namespace {

using namespace automot;  // NOLINT(google-build-using-namespace): this program's own

constexpr char kProgram[] = "automot-serve";
constexpr absl::Duration kLoadLimit = absl::Minutes(30);

absl::Status Serve(const serve::ServeFlags& flags, TerminationSignals& signals) {
  AUTOMOT_ASSIGN_OR_RETURN(auto factory, reasoning::TorchExpertFactory(flags.reasoning.expert));
  AUTOMOT_ASSIGN_OR_RETURN(const auto expert,
                           planning::LoadTorchActionExpert(flags.planning.expert));
  const MonotonicClock clock;
  planning::PlanningMetrics metrics;
  reasoning::ReasoningEngine reasoning_engine(flags.reasoning.engine, std::move(factory), &clock);
  // One process, one life: it serves when both experts can.
  AUTOMOT_RETURN_IF_ERROR(reasoning_engine.WaitUntilReady(kLoadLimit));
  AUTOMOT_ASSIGN_OR_RETURN(const auto planning_engine,
                           planning::PlanningEngine::Create(flags.planning.engine, expert.get(),
                                                            &reasoning_engine, &clock, &metrics));
  AUTOMOT_ASSIGN_OR_RETURN(
      const auto reasoning_server,
      reasoning::ReasoningServer::Start(flags.reasoning.server, &reasoning_engine));
  const rpc::ClientAllowList allow_list(flags.shared.tls);
  const planning::PlanningContext context{planning_engine.get(), &clock, &metrics, &allow_list};
  AUTOMOT_ASSIGN_OR_RETURN(const auto planning_server,
                           planning::PlanningServer::Start(flags.planning.server, context));
  AnnounceListening(
      {{"planning", planning_server->address()}, {"reasoning", reasoning_server->address()}});
  signals.Wait();
  // Plans first: what they may still need of the reasoning side is there until they are answered.
  planning_server->Drain();
  reasoning_server->Drain();
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  TerminationSignals signals;
  const auto flags = serve::ParseServeFlags(argc, argv);
  if (!flags.ok()) return EndProgram(kProgram, kExitBadUsage, flags.status());
  const absl::Status status = Serve(*flags, signals);
  return status.ok() ? 0 : EndProgram(kProgram, kExitFailed, status);
}
