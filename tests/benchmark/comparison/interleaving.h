// Fair comparison on a machine that others use: arms take turns in short blocks within one run, and
// one arm stands there twice, so that its ratio to itself shows what the machine alone does
// (semantics 5).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"

namespace automot::benchmarks {

struct StepTime {
  double wall_s = 0;
  double cpu_s = 0;  // of the whole process
};

// Runs that many steps and times each.
struct Arm {
  std::string name;
  std::function<std::vector<StepTime>(int steps)> run;
};

// Wall and CPU time of `body`, `steps` times.
std::vector<StepTime> TimeSteps(int steps, const std::function<void()>& body);

// Medians of an arm's blocks, in order of the rounds; seconds.
struct ArmTimes {
  std::string name;
  std::vector<double> wall_s, cpu_s;
};

// One block of each arm per round, each round beginning with another arm, after one untimed block.
std::vector<ArmTimes> Interleave(const std::vector<Arm>& arms, int rounds, int steps_per_block);

double Median(std::vector<double> values);

// Per round, numerator by denominator: median, and the interval that holds the median with 95 %.
struct Ratio {
  double median = 0, low = 0, high = 0;
};
Ratio RatioOf(const std::vector<double>& numerator, const std::vector<double>& denominator);

nlohmann::json ToJson(const Ratio& ratio);
// "1.23x [1.20, 1.26]"
std::string ToText(const Ratio& ratio);

// PASS where the interval lies at or above `limit`, FAIL where it lies below, NOT RESOLVABLE HERE
// where it holds it.
std::string Verdict(const Ratio& ratio, double limit);

}  // namespace automot::benchmarks
