// Turns the flags of the shared-memory lane into options of engine and server.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "services/reasoning/reasoning_engine.h"
#include "services/reasoning/reasoning_server.h"

namespace automot::reasoning {

// `socket`: "off", "auto" for one in a private folder, or a path. Says once in the log what came of
// it. An error only where a path was asked for: "auto" goes without the lane on systems that cannot
// have it. INVALID_ARGUMENT: other users let in without a path that they can reach.
absl::Status SetUpSharedMemory(const std::string& socket, ReasoningOptions& engine,
                               ReasoningServerOptions& server);

}  // namespace automot::reasoning
