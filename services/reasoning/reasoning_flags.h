// Command line of automot-reasoning.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "common/runtime/program_flags.h"
#include "services/reasoning/reasoning_engine.h"
#include "services/reasoning/reasoning_server.h"
#include "services/reasoning/torch_understanding_expert.h"

namespace automot::reasoning {

struct ReasoningFlags {
  TorchExpertOptions expert;
  ReasoningOptions engine;
  ReasoningServerOptions server;
  int refresh_batch = 0;  // 0: by the device
  std::string shared_memory_socket = "auto";
};

// What only the reasoning service has; automot-serve takes these too. The structs outlive the
// parse.
void AddReasoningFlags(CLI::App& app, ReasoningFlags& flags);
// Fills in what it shares with other services.
void ApplyShared(const ModelFlags& model, const ServerFlags& server, ReasoningFlags& flags);

struct ReasoningProgramFlags {
  ReasoningFlags reasoning;
  ServerFlags shared;
};

// Prints help and exits where asked to. INVALID_ARGUMENT in one line naming the flag.
absl::StatusOr<ReasoningProgramFlags> ParseReasoningFlags(int argc, char** argv);

}  // namespace automot::reasoning
