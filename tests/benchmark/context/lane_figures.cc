#include "tests/benchmark/context/lane_figures.h"

#include "tests/benchmark/comparison/report.h"

namespace automot::benchmarks {
namespace {

void MeasureBlock(LanePair& lane, const LaneOptions& options, LaneSeries* series) {
  lane.Restart();
  lane.Stream(options.snapshots);
  // How many buffers are under way at once is a matter of timing: a stream that met a new one is
  // repeated.
  Delivery stream = lane.Stream(options.snapshots);
  for (int repeat = 0; repeat < 5 && stream.grew; ++repeat) stream = lane.Stream(options.snapshots);
  const Delivery singles = lane.OneByOne(options.singles);
  series->s_per_gb.push_back(1 / stream.gb_per_s());
  series->core_s_per_gb.push_back(stream.core_s_per_gb());
  series->copies.push_back(stream.copies);
  series->visible_ms.push_back(Median(singles.visible_ms));
}

std::vector<double> Inverse(const std::vector<double>& values) {
  std::vector<double> inverse;
  for (double value : values) inverse.push_back(1 / value);
  return inverse;
}

std::string SpreadText(const char* format, const std::vector<double>& values) {
  const Ratio spread = SpreadOf(values);
  return Number(format, spread.median) + " [" + Number(format, spread.low) + ", " +
         Number(format, spread.high) + "]";
}

void Put(const std::string& key, const std::vector<double>& values, nlohmann::json* entry) {
  const Ratio spread = SpreadOf(values);
  (*entry)[key] = spread.median;
  (*entry)[key + "_interval"] = {spread.low, spread.high};
  (*entry)[key + "_rounds"] = values;
}

void ReportOne(const std::string& name, const Ratio& ratio, double limit, nlohmann::json* result) {
  nlohmann::json& entry = (*result)["ratios"][name];
  entry = ToJson(ratio);
  std::string line = ToText(ratio);
  if (limit > 0) {
    const std::string verdict = Verdict(ratio, limit);
    entry["limit"] = limit;
    entry["verdict"] = verdict;
    line += Number("   at least %.2fx: ", limit) + verdict;
  }
  Say(name, line);
}

}  // namespace

std::vector<LaneSeries> MeasureLanes(const std::vector<LanePair*>& lanes,
                                     const LaneOptions& options) {
  std::vector<LaneSeries> all;
  for (LanePair* lane : lanes) all.push_back({.name = lane->name()});
  for (int round = 0; round < options.rounds; ++round) {
    for (std::size_t i = 0; i < lanes.size(); ++i) {
      const std::size_t turn = (i + static_cast<std::size_t>(round)) % lanes.size();
      MeasureBlock(*lanes[turn], options, &all[turn]);
    }
  }
  return all;
}

Ratio SpreadOf(const std::vector<double>& values) {
  return RatioOf(values, std::vector<double>(values.size(), 1.0));
}

void ReportLane(const LaneSeries& lane, nlohmann::json* result) {
  const std::vector<double> gb_per_s = Inverse(lane.s_per_gb);
  Say(lane.name, SpreadText("%.3f", gb_per_s) + " GB/s   " +
                     SpreadText("%.4f", lane.core_s_per_gb) + " core-s/GB   visible after " +
                     SpreadText("%.2f", lane.visible_ms) + " ms");
  nlohmann::json& entry = (*result)[lane.name];
  Put("gb_per_s", gb_per_s, &entry);
  Put("core_s_per_gb", lane.core_s_per_gb, &entry);
  Put("publish_to_visible_ms", lane.visible_ms, &entry);
}

void ReportAdvantage(const LaneSeries& ours, const LaneSeries& other, double throughput_limit,
                     double cpu_limit, nlohmann::json* result) {
  const std::string names = ours.name + " against " + other.name;
  ReportOne(names + ", throughput", RatioOf(other.s_per_gb, ours.s_per_gb), throughput_limit,
            result);
  ReportOne(names + ", core-s/GB", RatioOf(other.core_s_per_gb, ours.core_s_per_gb), cpu_limit,
            result);
}

void ReportSooner(const LaneSeries& ours, const LaneSeries& other, double limit,
                  nlohmann::json* result) {
  ReportOne(ours.name + " against " + other.name + ", publish to visible",
            RatioOf(other.visible_ms, ours.visible_ms), limit, result);
}

std::string VerdictAtMost(const std::vector<double>& values, double limit) {
  const Ratio spread = SpreadOf(values);
  if (spread.high <= limit) return "PASS";
  return spread.low > limit ? "FAIL" : "NOT RESOLVABLE HERE";
}

}  // namespace automot::benchmarks
