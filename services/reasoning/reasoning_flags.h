// Command line of automot-reasoning.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "services/reasoning/reasoning_engine.h"
#include "services/reasoning/reasoning_server.h"
#include "services/reasoning/torch_understanding_expert.h"

namespace automot::reasoning {

struct ReasoningFlags {
  TorchExpertOptions expert;
  ReasoningOptions engine;
  ReasoningServerOptions server;
  std::string metrics_address = "127.0.0.1:9464";
};

// Prints help and exits where asked to. INVALID_ARGUMENT in one line naming the flag.
absl::StatusOr<ReasoningFlags> ParseReasoningFlags(int argc, char** argv);

}  // namespace automot::reasoning
