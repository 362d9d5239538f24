// A plan's latency beside what the context path does meanwhile.
#include <sched.h>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <random>

#include "common/concurrency/thread_placement.h"
#include "tests/benchmark/comparison/child_process.h"
#include "tests/benchmark/comparison/report.h"
#include "tests/benchmark/context/context_parts.h"

namespace automot::benchmarks {
namespace {

using nlohmann::json;

constexpr double kMostBesidePublications = 1.05;
constexpr double kMostBesideATransfer = 1.2;
constexpr int kLeastPairs = 20;
constexpr int kTicksPerArm = 20'000;

double Percentile99(std::vector<double> values) {
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(values.size() * 99 / 100);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

// One arm's blocks: the percentile of each, and all ticks.
struct PlanArm {
  std::string name;
  std::string request;
  std::vector<double> latency_p99, tick_p99, cpu_p99;
  std::vector<double> latencies;
  int published = 0, arrived = 0, fallbacks = 0;

  void Take(const json& block) {
    const auto latency = block.at("latency_us").get<std::vector<double>>();
    latency_p99.push_back(Percentile99(latency));
    tick_p99.push_back(Percentile99(block.at("tick_us").get<std::vector<double>>()));
    cpu_p99.push_back(Percentile99(block.at("tick_cpu_us").get<std::vector<double>>()));
    latencies.insert(latencies.end(), latency.begin(), latency.end());
    published += block.at("published").get<int>();
    arrived += block.at("arrived").get<int>();
    fallbacks += block.at("fallbacks").get<int>();
  }
};

// While it lives, this process and the children that it starts leave `core` alone.
class OtherCores {
 public:
  explicit OtherCores(int core) {
    ::sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t others = before_;
    CPU_CLR(core, &others);
    ::sched_setaffinity(0, sizeof others, &others);
  }
  ~OtherCores() { ::sched_setaffinity(0, sizeof before_, &before_); }
  OtherCores(const OtherCores&) = delete;
  OtherCores& operator=(const OtherCores&) = delete;

 private:
  cpu_set_t before_{};
};

// Semantics 5: where the same arm against itself leaves the limit, nothing can be said.
std::string VerdictBeside(const Ratio& ratio, const Ratio& control, double limit) {
  if (ratio.high <= limit) return "PASS";
  if (control.high > limit) return "NOT RESOLVABLE HERE";
  return ratio.low > limit ? "FAIL" : "NOT RESOLVABLE HERE";
}

void Report(const PlanArm& arm, const std::vector<PlanArm>& arms, double limit, json* result) {
  const PlanArm &base = arms[0], &again = arms[1];
  json& entry = (*result)["plan"][arm.name];
  const auto row = [&](const std::string& name, std::vector<double> PlanArm::* series) {
    const Ratio ratio = RatioOf(arm.*series, base.*series);
    const Ratio control = RatioOf(again.*series, base.*series);
    const std::string verdict = VerdictBeside(ratio, control, limit);
    entry[name] = {{"p99_us", Median(arm.*series)},
                   {"ratio", ToJson(ratio)},
                   {"control", ToJson(control)},
                   {"limit", limit},
                   {"verdict", verdict}};
    Say(arm.name + ", " + name, Number("p99 %.1f us   ", Median(arm.*series)) + ToText(ratio) +
                                    "   A/A " + ToText(control) +
                                    Number("   at most %.2fx: ", limit) + verdict);
  };
  row("latency", &PlanArm::latency_p99);
  row("tick", &PlanArm::tick_p99);
  row("tick_cpu", &PlanArm::cpu_p99);
  entry["ticks"] = arm.latencies.size();
  entry["pairs"] = arm.latency_p99.size();
  entry["published"] = arm.published;
  entry["arrived"] = arm.arrived;
  entry["fallbacks"] = arm.fallbacks;
  Say(arm.name, std::to_string(arm.latencies.size()) + " ticks, " + std::to_string(arm.published) +
                    " publications, " + std::to_string(arm.arrived) + " snapshots of 147 MB, " +
                    std::to_string(arm.fallbacks) + " fallbacks" +
                    Number(", all ticks: p99 %.1f us", Percentile99(arm.latencies)));
}

}  // namespace

void RunPlan(const ContextFlags& flags, json* result) {
  const int core = AvailableCores() - 1;
  if (core < 1) {
    (*result)["absent"]["plan"] = "one core: the planner needs its own";
    return Say("plan", "absent: one core, and the planner needs its own");
  }
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  const OtherCores others(core);
  ChildProcess producer({self, "--role=producer", "--lane=grpc"});
  const std::string address = producer.Read().at("address");
  ChildProcess planner(
      {self, "--role=planner", "--address=" + address, "--core=" + std::to_string(core)});
  planner.Read();
  std::vector<PlanArm> arms = {{.name = "none", .request = "none"},
                               {.name = "none again", .request = "none"},
                               {.name = "1,000 publications/s", .request = "publishes"},
                               {.name = "147 MB arriving", .request = "transfer"}};
  const int pairs = std::max(kLeastPairs, 2 * flags.lanes.rounds);
  const int ticks = (kTicksPerArm + pairs - 1) / pairs;
  for (const PlanArm& arm : arms) planner.Ask({{"arm", arm.request}, {"ticks", ticks / 10 + 1}});
  std::vector<std::size_t> order(arms.size());
  std::iota(order.begin(), order.end(), 0);
  std::minstd_rand random(1);
  for (int pair = 0; pair < pairs; ++pair) {
    std::shuffle(order.begin(), order.end(), random);  // no arm always follows the same one
    for (const std::size_t turn : order) {
      arms[turn].Take(planner.Ask({{"arm", arms[turn].request}, {"ticks", ticks}}));
    }
  }
  Report(arms[2], arms, kMostBesidePublications, result);
  Report(arms[3], arms, kMostBesideATransfer, result);
}

}  // namespace automot::benchmarks
