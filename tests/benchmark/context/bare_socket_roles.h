// A TCP connection and nothing else: what the kernel alone takes for the same bytes, so that a
// lane's figures can be read against it. No frames, no hashes; the receiver reads into the final
// buffer. The two ends are child processes that speak comparison/child_process.h's lines, as
// plain_roles.h's do.
#pragma once

#include <string>

namespace automot::benchmarks {

// Greets with {"address": PORT}.
int RunSocketServer();
int RunSocketClient(const std::string& port);

}  // namespace automot::benchmarks
