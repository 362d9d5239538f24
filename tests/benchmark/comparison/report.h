// What the comparing benchmarks print, and where a figure comes from.
#pragma once

#include <string>

#include "nlohmann/json.hpp"
#include "tests/benchmark/comparison/interleaving.h"

namespace automot::benchmarks {

// One aligned line of a benchmark's table.
void Say(const std::string& name, const std::string& value);
// Formats one number as printf does.
std::string Number(const char* format, double value);
// Median wall and CPU time of an arm.
std::string Milliseconds(const ArmTimes& arm);
// Prints each arm and puts its block medians under result["arms"].
void ReportTimes(const std::vector<ArmTimes>& times, nlohmann::json* result);
// The arm of that name, which there must be.
const ArmTimes& Find(const std::vector<ArmTimes>& times, const std::string& name);

// Prints and stores numerator / denominator by wall and CPU time. CPU time rules the verdict
// against `limit`: on one thread, other processes do not count in it. limit 0: no verdict.
void ReportRatio(const std::string& name, const ArmTimes& numerator, const ArmTimes& denominator,
                 double limit, nlohmann::json* result);

// Machine, commit (AUTOMOT_COMMIT), command, load and oneDNN's limit.
nlohmann::json Provenance(int argc, char** argv);

}  // namespace automot::benchmarks
