#include "tools/loadgen/report.h"

#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "tools/synthetic/plan_proof.h"

namespace automot::loadgen {
namespace {

using nlohmann::json;

double Ms(absl::Duration duration) { return absl::ToDoubleMilliseconds(duration); }

// The value after the colon in the first line of `file` that begins with `key`.
std::string ValueIn(const char* file, const std::string& key) {
  std::ifstream stream(file);
  std::string line;
  while (std::getline(stream, line)) {
    const std::size_t colon = line.find(':');
    if (line.rfind(key, 0) != 0 || colon == std::string::npos) continue;
    return line.substr(std::min(line.size(), line.find_first_not_of(' ', colon + 1)));
  }
  return "unknown";
}

json MachineOf() {
  return {{"processor", ValueIn("/proc/cpuinfo", "model name")},
          {"cores", std::thread::hardware_concurrency()},
          {"memory", ValueIn("/proc/meminfo", "MemTotal")}};
}

json HistogramOf(const LatencyHistogram& histogram) {
  return {{"count", histogram.count()},
          {"mean", Ms(histogram.mean())},
          {"p50", Ms(histogram.Percentile(0.5))},
          {"p90", Ms(histogram.Percentile(0.9))},
          {"p99", Ms(histogram.Percentile(0.99))},
          {"p99_9", Ms(histogram.Percentile(0.999))},
          {"p99_99", Ms(histogram.Percentile(0.9999))},
          {"max", Ms(histogram.max())}};
}

json TicksOf(const Tally& tally) {
  json ticks = {{"intended", tally.intended()}, {"warm_up", tally.warm_up}};
  for (int i = 0; i < kOutcomes; ++i) {
    const auto outcome = static_cast<Outcome>(i);
    ticks[std::string(ToString(outcome))] = tally.count(outcome);
  }
  return ticks;
}

json RunOf(const RunResult& result, const std::vector<Bound>& bounds) {
  const Tally& tally = result.tally;
  json verdicts = json::array();
  for (const BoundVerdict& verdict : CheckBounds(bounds, result)) {
    verdicts.push_back(
        {{"bound", verdict.bound.ToString()}, {"value", verdict.value}, {"holds", verdict.holds}});
  }
  return {{"load", result.load},
          {"offered_hz", result.offered_hz},
          {"goodput_hz", FigureOf("goodput_hz", result)},
          {"seconds", absl::ToDoubleSeconds(result.measured)},
          {"ticks", TicksOf(tally)},
          {"wrong",
           {{"answers", tally.wrong},
            {"fields", tally.wrong_fields},
            {"example", tally.wrong_example}}},
          {"proof", {{"proven", tally.proven}, {"without", tally.unproven}}},
          {"reasons", tally.reasons},
          {"failures", tally.failures},
          {"chaos", tally.acts},
          {"ms",
           {{"from_intended", HistogramOf(tally.from_intended)},
            {"from_sent", HistogramOf(tally.from_sent)},
            {"server_queue", HistogramOf(tally.server_queue)},
            {"refusal", HistogramOf(tally.refusal)},
            {"retry_after", HistogramOf(tally.retry_after)},
            {"staleness", HistogramOf(tally.staleness)}}},
          {"bounds", verdicts}};
}

std::string NameOf(PayloadKind kind) {
  static constexpr std::array<const char*, 4> kNames = {"bev", "jpeg", "raw", "episode"};
  return kNames.at(static_cast<std::size_t>(kind));
}

json SettingsOf(const LoadOptions& options) {
  json payloads = json::array();
  for (const PayloadKind kind : options.payloads) payloads.push_back(NameOf(kind));
  json acts = json::array();
  for (const ChaosAct act : options.chaos.acts) acts.push_back(std::string(ToString(act)));
  return {{"addresses", options.target.addresses},
          {"vehicles", options.vehicles},
          {"rates_hz", options.rates_hz},
          {"reasoning_rate_hz", options.session.reasoning_rate_hz()},
          {"payloads", payloads},
          {"jitter", options.jitter},
          {"ramp", {options.ramp.from, options.ramp.to, absl::ToDoubleSeconds(options.ramp.over)}},
          {"warm_up_seconds", absl::ToDoubleSeconds(options.warm_up)},
          {"seconds", absl::ToDoubleSeconds(options.measured)},
          {"requests", options.requests},
          {"deadline_ms", Ms(options.deadline)},
          {"mode", options.mode == Mode::kUnary ? "unary" : "stream"},
          {"seed", options.seed},
          {"chaos", acts},
          {"chaos_rate", options.chaos.rate},
          {"chaos_seed", options.chaos.seed}};
}

double Percent(const Tally& tally, Outcome outcome) {
  const uint64_t all = tally.intended();
  return all == 0 ? 0.0
                  : 100.0 * static_cast<double>(tally.count(outcome)) / static_cast<double>(all);
}

}  // namespace

json ReportOf(const ReportInputs& inputs) {
  json runs = json::array();
  for (const RunResult& result : inputs.runs) runs.push_back(RunOf(result, inputs.bounds));
  const std::string& revision = inputs.server.model_revision();
  return {{"schema", kReportSchema},
          {"time", absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::Now(), absl::UTCTimeZone())},
          {"commit", AUTOMOT_GIT_HASH},
          {"command", inputs.command},
          {"machine", MachineOf()},
          {"server",
           {{"model_revision", revision},
            {"synthetic", revision == synthetic::kModelRevision},
            {"weights_trained", inputs.server.weights_trained()}}},
          {"settings", SettingsOf(inputs.options)},
          {"runs", runs},
          {"passed", Passed(inputs)}};
}

bool Passed(const ReportInputs& inputs) {
  for (const RunResult& result : inputs.runs) {
    if (result.tally.wrong > 0) return false;
    for (const BoundVerdict& verdict : CheckBounds(inputs.bounds, result)) {
      if (!verdict.holds) return false;
    }
  }
  return true;
}

std::string ProgressLine(absl::Duration since_start, const Tally& tally) {
  return absl::StrFormat(
      "%6.1f s  %8d ticks  on time %6.2f %%  p50 %.2f ms  p99 %.2f ms  refused %d  late %d  "
      "failed %d  wrong %d",
      absl::ToDoubleSeconds(since_start), tally.intended(), Percent(tally, Outcome::kOnTime),
      Ms(tally.from_intended.Percentile(0.5)), Ms(tally.from_intended.Percentile(0.99)),
      tally.count(Outcome::kRefused), tally.count(Outcome::kLate), tally.count(Outcome::kFailed),
      tally.wrong);
}

std::string LiveBlock(absl::Duration since_start, const Tally& tally) {
  std::string block =
      absl::StrFormat("%.0f s, %d ticks measured (%d before)\n", absl::ToDoubleSeconds(since_start),
                      tally.intended(), tally.warm_up);
  for (int i = 0; i < kOutcomes; ++i) {
    const auto outcome = static_cast<Outcome>(i);
    absl::StrAppend(&block, absl::StrFormat("  %-10s %10d  %6.2f %%\n", ToString(outcome),
                                            tally.count(outcome), Percent(tally, outcome)));
  }
  const auto row = [&](const char* name, const LatencyHistogram& histogram) {
    absl::StrAppend(&block,
                    absl::StrFormat("  %-14s p50 %9.2f  p99 %9.2f  p99.9 %9.2f  max %9.2f\n", name,
                                    Ms(histogram.Percentile(0.5)), Ms(histogram.Percentile(0.99)),
                                    Ms(histogram.Percentile(0.999)), Ms(histogram.max())));
  };
  row("ms, intended", tally.from_intended);
  row("ms, sent", tally.from_sent);
  row("ms, refusal", tally.refusal);
  absl::StrAppend(&block, absl::StrFormat("  wrong %d, proven %d, without proof %d\n", tally.wrong,
                                          tally.proven, tally.unproven));
  return block;
}

std::string SummaryOf(const RunResult& result, const std::vector<BoundVerdict>& verdicts) {
  std::string summary = absl::StrFormat("offered %.1f/s, in time %.1f/s\n", result.offered_hz,
                                        FigureOf("goodput_hz", result));
  absl::StrAppend(&summary, LiveBlock(result.measured, result.tally));
  const auto list = [&](const char* title, const std::map<std::string, uint64_t>& counts) {
    if (counts.empty()) return;
    absl::StrAppend(&summary, "  ", title, ":");
    for (const auto& [name, count] : counts) absl::StrAppend(&summary, " ", name, " ", count);
    absl::StrAppend(&summary, "\n");
  };
  list("flags", result.tally.reasons);
  list("failures", result.tally.failures);
  list("chaos", result.tally.acts);
  list("WRONG", result.tally.wrong_fields);
  if (!result.tally.wrong_example.empty()) {
    absl::StrAppend(&summary, "  ", result.tally.wrong_example, "\n");
  }
  for (const BoundVerdict& verdict : verdicts) {
    absl::StrAppend(&summary, verdict.holds ? "  holds: " : "  BROKEN: ", verdict.bound.ToString(),
                    " (", verdict.value, ")\n");
  }
  return summary;
}

}  // namespace automot::loadgen
