#include "services/reasoning/shared_memory_setup.h"

#include <algorithm>

#include "common/context/memory_region.h"
#include "common/logging/log.h"
#include "common/shared_memory/private_folder.h"
#include "common/status/status_macros.h"

namespace automot::reasoning {
namespace {

constexpr std::size_t kProbeBytes = 4096;

absl::StatusOr<std::string> SocketPath(const std::string& socket) {
  AUTOMOT_RETURN_IF_ERROR(context::MemoryRegion::Create(kProbeBytes, true).status());
  if (socket != "auto") return socket;
  return shared_memory::PrivateSocketPath("reasoning");
}

}  // namespace

absl::Status SetUpSharedMemory(const std::string& socket, ReasoningOptions& engine,
                               ReasoningServerOptions& server) {
  const bool wanted = socket != "off" && !socket.empty();
  if (socket == "auto" && !server.shared_memory.allowed_users.empty()) {
    return absl::InvalidArgumentError(
        "--shared-memory-user needs --shared-memory-socket PATH: others cannot reach the private "
        "folder of auto");
  }
  const absl::StatusOr<std::string> path = wanted ? SocketPath(socket) : std::string();
  if (!path.ok() && socket != "auto") return path.status();
  server.shared_memory.path = path.ok() ? *path : "";
  if (!server.shared_memory.path.empty()) {
    engine.pool.backing = context::KvBufferPool::Backing::kSharedRegion;
    // What a consumer holds for ever leaves the other half to everybody else.
    server.shared_memory.limits.consumer_bytes = engine.pool.byte_budget / 2;
  }
  AUTOMOT_LOG(kInfo, "shared_memory",
              {{"socket", server.shared_memory.path},
               {"why", path.ok() ? std::string() : path.status().ToString()}});
  return absl::OkStatus();
}

}  // namespace automot::reasoning
