// The parts of automot-bench-context. Each prints its figures and puts them into the result.
#pragma once

#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "tests/benchmark/context/lane_figures.h"

namespace automot::benchmarks {

struct ContextFlags {
  std::vector<std::string> only;  // empty: all parts
  std::string json_file;
  std::vector<std::string> flight;  // command of flight_peer.py; empty: not compared
  LaneOptions lanes;
};

// Throughput, processor time and time to visible of every lane and of what it is compared with.
void RunLanes(const ContextFlags& flags, nlohmann::json* result);
// What acquiring and releasing the newest version costs, beside 1,000 publications per second.
void RunHandle(const ContextFlags& flags, nlohmann::json* result);
// A plan's p99 beside 1,000 publications per second, and while snapshots arrive at full rate.
void RunPlan(const ContextFlags& flags, nlohmann::json* result);
// How much of a transfer hides behind the computation of the layers.
void RunLayerStreaming(const ContextFlags& flags, nlohmann::json* result);
// Which share of a transfer's processor time the hashes take.
void RunIntegrity(const ContextFlags& flags, nlohmann::json* result);

}  // namespace automot::benchmarks
