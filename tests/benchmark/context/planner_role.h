// A planner under measurement as a child process: the real pipeline and loop with an expert that
// takes a tenth of a millisecond, beside publications or beside snapshots that arrive over the gRPC
// lane. Speaks comparison/child_process.h's lines.
//
//   {"arm": "none"|"publishes"|"transfer", "ticks": N}  -> latency_us, tick_us, tick_cpu_us of
//   every
//                                                           tick; published, arrived, fallbacks
#pragma once

#include <string>

namespace automot::benchmarks {

// `address`: of a producer (lane_roles.h). The planning thread owns `core`; every other thread runs
// where the process may.
int RunPlanner(const std::string& address, int core);

}  // namespace automot::benchmarks
