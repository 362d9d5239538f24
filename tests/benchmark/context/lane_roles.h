// The two ends of a lane as child processes of the benchmark, and both in one for the in-process
// lane. Each speaks comparison/child_process.h's lines.
//
//   producer  {"layer_us": N}                        time per layer from now on
//   consumer  {"snapshots": N, "ahead": M}           -> wall_s, bytes, bytes_copied, visible_ms[]
//   any       {}                                     -> cpu_s; of a producer also
//                                                       buffers, how many its pool has mapped
#pragma once

#include <string>

namespace automot::benchmarks {

// Greets with {"address": ...}. `lane`: grpc or shared_memory.
int RunProducer(const std::string& lane);
int RunConsumer(const std::string& lane, const std::string& address);
int RunInProcess();

}  // namespace automot::benchmarks
