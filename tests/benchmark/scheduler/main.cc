// Deadlines of many vehicles on one planning thread, at loads below and far above what it can do.
//   tools/dev.sh bench scheduler [--requests N] [--service-ms MS] [--json FILE]
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <vector>

#include "tests/benchmark/comparison/report.h"
#include "tests/benchmark/scheduler/offered_load.h"

namespace automot::benchmarks {
namespace {

struct Flags {
  double service_ms = 5.0, deadline_ms = 50.0;
  uint64_t requests = 6000;
  std::vector<double> loads = {0.8, 2.0, 10.0};  // of the capacity
  bool poisson = false;
  std::string json;
};

const char* Verdict(bool passed) { return passed ? "PASS" : "FAIL"; }

// The aims: at most 0.8 of the capacity 99.9 % in time; beyond it 95 % of the capacity.
nlohmann::json Judge(const LoadOutcome& outcome, double load, double capacity_per_s) {
  const bool below = load < 1.0;
  const double goodput = outcome.goodput_per_s / capacity_per_s;
  const bool kept = below ? outcome.in_time >= 0.999 : goodput >= 0.95;
  const bool refusals = outcome.refusal_p99_ms <= 1.0;
  Say("load " + Number("%.1f", load) + ", in time", Number("%.3f %%", 100.0 * outcome.in_time));
  Say("  goodput / capacity", Number("%.3f", goodput));
  Say("  refused at once", Number("%.2f %%", 100.0 * outcome.refused));
  Say("  accepted and late", Number("%.3f %%", 100.0 * outcome.late));
  Say("  refusal, p99", Number("%.3f ms", outcome.refusal_p99_ms));
  Say("  expired plans that ran", Number("%.0f", static_cast<double>(outcome.expired_ran)));
  Say("  verdict", Verdict(kept && refusals && outcome.expired_ran == 0));
  return {{"load", load},
          {"offered_per_s", outcome.offered_per_s},
          {"in_time", outcome.in_time},
          {"goodput_of_capacity", goodput},
          {"refused", outcome.refused},
          {"late", outcome.late},
          {"refusal_p99_ms", outcome.refusal_p99_ms},
          {"expired_ran", outcome.expired_ran},
          {"verdict", Verdict(kept && refusals && outcome.expired_ran == 0)}};
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Deadlines of many vehicles on one planning thread, under load and overload.");
  app.add_option("--requests", flags.requests, "At each load")
      ->check(CLI::Range(100, 10'000'000))
      ->capture_default_str();
  app.add_option("--service-ms", flags.service_ms, "Of one plan, without computing")
      ->check(CLI::Range(0.1, 1000.0))
      ->capture_default_str();
  app.add_option("--deadline-ms", flags.deadline_ms)
      ->check(CLI::Range(1.0, 60'000.0))
      ->capture_default_str();
  app.add_option("--load", flags.loads, "Of the capacity; repeatable")
      ->check(CLI::Range(0.01, 1000.0));
  app.add_flag("--poisson", flags.poisson, "Arrivals at random instead of a fleet's");
  app.add_option("--json", flags.json, "Write the figures here");
  CLI11_PARSE(app, argc, argv);
  nlohmann::json report = Provenance(argc, argv);
  std::printf("%s\n", report.dump(2).c_str());
  const LoadOptions options{.arrivals = flags.poisson ? Arrivals::kPoisson : Arrivals::kFleet,
                            .service = absl::Milliseconds(flags.service_ms),
                            .deadline = absl::Milliseconds(flags.deadline_ms),
                            .requests = flags.requests};
  const double capacity_per_s = MeasureCapacity(options);
  Say("capacity", Number("%.1f plans/s", capacity_per_s));
  report["capacity_per_s"] = capacity_per_s;
  for (const double load : flags.loads) {
    const LoadOutcome outcome = OfferLoad(options, load * capacity_per_s);
    report["loads"].push_back(Judge(outcome, load, capacity_per_s));
  }
  if (!flags.json.empty()) std::ofstream(flags.json) << report.dump(1) << "\n";
  return 0;
}

}  // namespace
}  // namespace automot::benchmarks

int main(int argc, char** argv) { return automot::benchmarks::Main(argc, argv); }
