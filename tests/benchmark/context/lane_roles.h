// The two ends of a lane as child processes of the benchmark, and both in one for the in-process
// lane. Each speaks comparison/child_process.h's lines.
//
//   producer  {"layer_us": N}                        time per layer from now on
//   consumer  {"snapshots": N, "ahead": M}           -> wall_s, bytes, visible_ms[]
//   any       {}                                     -> cpu_s alone
#pragma once

#include <string>

namespace automot::benchmarks {

// Greets with {"address": ...}.
int RunProducer();
// `lane`: grpc.
int RunConsumer(const std::string& lane, const std::string& address);
int RunInProcess();

}  // namespace automot::benchmarks
