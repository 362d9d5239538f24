#include "tests/benchmark/comparison/interleaving.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

namespace automot::benchmarks {
namespace {

double CpuSeconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

void AddBlock(const std::vector<StepTime>& block, ArmTimes* times) {
  std::vector<double> wall, cpu;
  for (const StepTime& step : block) wall.push_back(step.wall_s), cpu.push_back(step.cpu_s);
  times->wall_s.push_back(Median(std::move(wall)));
  times->cpu_s.push_back(Median(std::move(cpu)));
}

}  // namespace

std::vector<StepTime> TimeSteps(int steps, const std::function<void()>& body) {
  using Clock = std::chrono::steady_clock;
  std::vector<StepTime> times;
  for (int i = 0; i < steps; ++i) {
    const Clock::time_point begin = Clock::now();
    const double cpu = CpuSeconds();
    body();
    times.push_back(
        {std::chrono::duration<double>(Clock::now() - begin).count(), CpuSeconds() - cpu});
  }
  return times;
}

std::vector<ArmTimes> Interleave(const std::vector<Arm>& arms, int rounds, int steps_per_block) {
  std::vector<ArmTimes> times;
  for (const Arm& arm : arms) {
    times.push_back({arm.name, {}, {}});
    arm.run(steps_per_block);
  }
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < arms.size(); ++i) {
      const std::size_t turn = (i + static_cast<std::size_t>(round)) % arms.size();
      AddBlock(arms[turn].run(steps_per_block), &times[turn]);
    }
  }
  return times;
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// The order statistics around the median: distribution-free.
Ratio RatioOf(const std::vector<double>& numerator, const std::vector<double>& denominator) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < numerator.size(); ++i)
    ratios.push_back(numerator[i] / denominator[i]);
  std::sort(ratios.begin(), ratios.end());
  const auto n = static_cast<double>(ratios.size());
  const double half = 0.98 * std::sqrt(n);
  const auto at = [&](double rank) {
    return ratios[static_cast<std::size_t>(std::clamp(rank, 0.0, n - 1))];
  };
  return {Median(ratios), at(std::floor(n / 2 - half)), at(std::ceil(n / 2 + half) - 1)};
}

nlohmann::json ToJson(const Ratio& ratio) {
  return {{"median", ratio.median}, {"low", ratio.low}, {"high", ratio.high}};
}

std::string ToText(const Ratio& ratio) {
  char text[64];
  std::snprintf(text, sizeof text, "%.3fx [%.3f, %.3f]", ratio.median, ratio.low, ratio.high);
  return text;
}

std::string Verdict(const Ratio& ratio, double limit) {
  if (ratio.low >= limit) return "PASS";
  return ratio.high < limit ? "FAIL" : "NOT RESOLVABLE HERE";
}

}  // namespace automot::benchmarks
