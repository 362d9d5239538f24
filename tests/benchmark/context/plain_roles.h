// A gRPC service written as one writes it without thinking of copies: a message with a bytes field,
// the synchronous API, default channel arguments, no hashes. The two ends are child processes that
// speak comparison/child_process.h's lines.
//
//   client  {"snapshots": N, "snapshot_bytes": B, "piece_bytes": P}  -> wall_s, bytes, visible_ms[]
//   any     {}                                                       -> cpu_s alone
#pragma once

#include <string>

namespace automot::benchmarks {

// Greets with {"address": ...}.
int RunPlainServer();
int RunPlainClient(const std::string& address);

}  // namespace automot::benchmarks
