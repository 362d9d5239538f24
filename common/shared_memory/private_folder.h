// Where a process puts a socket that is nobody else's business.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace automot::shared_memory {

// A path for a socket of this process, "<folder>/<name>-<process>.socket", in a folder that only
// its user can enter: automot-serve below $XDG_RUNTIME_DIR, else automot-serve-<user> below the
// folder of temporary files. Makes the folder where it is missing, and removes from it the sockets
// of processes that have died. FAILED_PRECONDITION: the folder is there, and is somebody else's or
// open to others.
absl::StatusOr<std::string> PrivateSocketPath(const std::string& name);

}  // namespace automot::shared_memory
