// automot-planning: the planning service as a process of its own.
#include "common/runtime/announce.h"
#include "common/runtime/program_exit.h"
#include "common/runtime/termination.h"
#include "common/status/status_macros.h"
#include "services/planning/planning_flags.h"

namespace {

using namespace automot;            // NOLINT(google-build-using-namespace): this program's own
using namespace automot::planning;  // NOLINT(google-build-using-namespace)

constexpr char kProgram[] = "automot-planning";

absl::Status Serve(PlanningProgramFlags& flags, TerminationSignals& signals) {
  AUTOMOT_ASSIGN_OR_RETURN(flags.lane.credentials, rpc::ChannelCredentialsFor(flags.lane_tls));
  AUTOMOT_ASSIGN_OR_RETURN(const auto expert, LoadTorchActionExpert(flags.planning.expert));
  AUTOMOT_ASSIGN_OR_RETURN(const auto channel, GrpcSnapshotChannel::Create(flags.lane));
  const MonotonicClock clock;
  PlanningMetrics metrics;
  AUTOMOT_ASSIGN_OR_RETURN(
      const auto engine,
      PlanningEngine::Create(flags.planning.engine, expert.get(), channel.get(), &clock, &metrics));
  const rpc::ClientAllowList allow_list(flags.shared.tls);
  const PlanningContext context{engine.get(), &clock, &metrics, &allow_list};
  AUTOMOT_ASSIGN_OR_RETURN(const auto server,
                           PlanningServer::Start(flags.planning.server, context));
  AnnounceListening({{"planning", server->address()}});
  signals.Wait();
  server->Drain();
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  TerminationSignals signals;
  auto flags = ParsePlanningFlags(argc, argv);
  if (!flags.ok()) return EndProgram(kProgram, kExitBadUsage, flags.status());
  const absl::Status status = Serve(*flags, signals);
  return status.ok() ? 0 : EndProgram(kProgram, kExitFailed, status);
}
