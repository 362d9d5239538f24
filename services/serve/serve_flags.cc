#include "services/serve/serve_flags.h"

#include <algorithm>

#include "common/status/status_macros.h"

namespace automot::serve {

absl::StatusOr<ServeFlags> ParseServeFlags(int argc, char** argv) {
  ServeFlags flags;
  ModelFlags model;
  CLI::App app{
      "Runs the reasoning and the planning service in one process; context snapshots are handed "
      "over by pointer."};
  AddModelFlags(app, model);
  app.add_option("--planning-address", flags.planning.server.address,
                 "Where the planning service listens; port 0 picks one")
      ->capture_default_str();
  app.add_option("--reasoning-address", flags.reasoning.server.address,
                 "Where the reasoning service listens; port 0 picks one")
      ->capture_default_str();
  flags.reasoning.shared_memory_socket = "off";  // its own planner needs none
  planning::AddPlanningFlags(app, flags.planning);
  reasoning::AddReasoningFlags(app, flags.reasoning);
  egodriver::AddEgodriverFlags(app, flags.egodriver);
  AddServerFlags(app, flags.shared);
  AUTOMOT_RETURN_IF_ERROR(ParseFlags(app, argc, argv));
  planning::ApplyShared(model, flags.shared, flags.planning);
  reasoning::ApplyShared(model, flags.shared, flags.reasoning);
  // Every session of the planning service attaches to the reasoning service beside it.
  flags.reasoning.engine.limits.sessions = std::max<std::size_t>(
      flags.reasoning.engine.limits.sessions, flags.planning.engine.session_limit);
  return flags;
}

}  // namespace automot::serve
