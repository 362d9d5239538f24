// Lanes side by side in interleaved rounds of one run: throughput, processor time, time to visible.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "tests/benchmark/comparison/interleaving.h"
#include "tests/benchmark/context/lane_pair.h"

namespace automot::benchmarks {

struct LaneOptions {
  int rounds = 10;
  int snapshots = 4;  // of a block's stream
  int singles = 2;    // of a block, one by one
};

// One value per round.
struct LaneSeries {
  std::string name;
  std::vector<double> s_per_gb, core_s_per_gb, visible_ms, copies;
};

// Each round begins with another lane. Every block is of fresh processes, after an untimed stream.
std::vector<LaneSeries> MeasureLanes(const std::vector<LanePair*>& lanes,
                                     const LaneOptions& options);

// Median and the interval that holds it with 95 %.
Ratio SpreadOf(const std::vector<double>& values);

// Prints a lane and puts it under result[name].
void ReportLane(const LaneSeries& lane, nlohmann::json* result);

// Prints and stores under result["ratios"] how much more throughput `ours` has than `other`, and
// how much less processor time per byte, judged against the limits.
void ReportAdvantage(const LaneSeries& ours, const LaneSeries& other, double throughput_limit,
                     double cpu_limit, nlohmann::json* result);

// Prints and stores how much sooner after its last byte a snapshot is visible in `ours`.
void ReportSooner(const LaneSeries& ours, const LaneSeries& other, double limit,
                  nlohmann::json* result);

// PASS where the interval of `values` lies at or below `limit`.
std::string VerdictAtMost(const std::vector<double>& values, double limit);

}  // namespace automot::benchmarks
