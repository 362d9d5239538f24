// Command line of automot-planning.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/rpc/client_quotas.h"
#include "common/rpc/credentials.h"
#include "common/runtime/program_flags.h"
#include "services/planning/lane/grpc_snapshot_channel.h"
#include "services/planning/planning_engine.h"
#include "services/planning/planning_server.h"
#include "services/planning/recording/recording_flags.h"
#include "services/planning/torch_action_expert.h"

namespace automot::planning {

struct PlanningFlags {
  TorchActionExpertOptions expert;
  PlanningEngineOptions engine;
  PlanningServerOptions server;
  RecordingFlags recording;
  int max_batch = 0;  // 0: by the device
  double session_memory_mib = 0.0;
  rpc::ClientQuotaOptions quotas;
};

// What only the planning service has; automot-serve takes these too. The structs outlive the parse.
void AddPlanningFlags(CLI::App& app, PlanningFlags& flags);
// Fills in what it shares with other services.
void ApplyShared(const ModelFlags& model, const ServerFlags& server, PlanningFlags& flags);

struct PlanningProgramFlags {
  PlanningFlags planning;
  ServerFlags shared;
  GrpcSnapshotChannelOptions lane;  // without credentials
  rpc::ChannelTlsOptions lane_tls;
  std::optional<context::Lane> wanted_lane;  // empty: the best that passes its trial
};

// Prints help and exits where asked to. `add_more` adds the flags of what else the program serves.
// INVALID_ARGUMENT in one line naming the flag.
absl::StatusOr<PlanningProgramFlags> ParsePlanningFlags(
    int argc, char** argv, const std::function<void(CLI::App&)>& add_more = nullptr);

}  // namespace automot::planning
