// The action expert's step against tests/benchmark/eager_action_expert.py, in one run.
//   tools/dev.sh bench action [--preset nano|tiny|published]... [--json FILE]
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <memory>

#include "common/runtime/cpu_isa.h"
#include "tests/benchmark/action/action_case.h"
#include "tests/benchmark/action/action_cost.h"
#include "tests/benchmark/comparison/eager_worker.h"
#include "tests/benchmark/comparison/interleaving.h"
#include "tests/benchmark/comparison/report.h"

namespace automot::benchmarks {
namespace {

struct Flags {
  std::vector<std::string> presets = {"tiny", "nano"};
  std::string checkpoint, dtype, json;
  std::vector<std::string> eager;  // command of the eager implementation; empty: ours alone
  int64_t prefix = 0, batch = 8;
  int threads = 1, rounds = 0, steps = 0;
};

// What the issue asks of each geometry.
struct Limits {
  double speedup, gemm_share;
};

struct Plan {
  CaseOptions options;
  int rounds, steps;
  Limits limits;
};

Plan PlanFor(const std::string& preset, const Flags& flags) {
  const bool published = preset == "published";
  Plan plan{.options = {.preset = preset,
                        .checkpoint = flags.checkpoint,
                        .dtype = published ? "bfloat16" : "float32",
                        .prefix = published ? 625 : 250,
                        .batch = flags.batch},
            .rounds = published ? 11 : 31,
            .steps = published ? 1 : 20,
            .limits = published ? Limits{1.05, 0.8} : Limits{2.0, 0.0}};
  if (!flags.dtype.empty()) plan.options.dtype = flags.dtype;
  if (flags.prefix > 0) plan.options.prefix = flags.prefix;
  if (flags.rounds > 0) plan.rounds = flags.rounds;
  if (flags.steps > 0) plan.steps = flags.steps;
  return plan;
}

std::vector<std::string> EagerCommand(const Flags& flags, const ActionCase& action,
                                      const std::string& dtype) {
  std::vector<std::string> command = flags.eager;
  for (const std::string& word :
       {std::string("serve"), action.directory(), action.inputs_path(), std::string("--dtype"),
        dtype, std::string("--threads"), std::to_string(flags.threads)}) {
    command.push_back(word);
  }
  return command;
}

double LargestDifference(const std::vector<double>& a, const std::vector<double>& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b.at(i)));
  return largest;
}

// One preset's run: what was measured, printed and as JSON.
class Comparison {
 public:
  Comparison(const Flags& flags, const Plan& plan)
      : flags_(flags),
        plan_(plan),
        case_(plan.options),
        probe_(case_.model().geometry(), case_.model().options().model.dtype) {}

  nlohmann::json Run() {
    std::printf("%s, %s, prefix %ld, %d thread(s), %d rounds of %d\n", plan_.options.preset.c_str(),
                plan_.options.dtype.c_str(), static_cast<long>(plan_.options.prefix),
                flags_.threads, plan_.rounds, plan_.steps);
    result_ = {{"preset", plan_.options.preset}, {"dtype", plan_.options.dtype},
               {"prefix", plan_.options.prefix}, {"threads", flags_.threads},
               {"rounds", plan_.rounds},         {"steps_per_round", plan_.steps}};
    Measure();
    ReportRatios();
    ReportRates();
    ReportBatch();
    return result_;
  }

 private:
  void Measure() {
    std::vector<Arm> arms;
    const auto add = [&arms](const char* name, std::function<void()> body) {
      arms.push_back({name, [body = std::move(body)](int n) { return TimeSteps(n, body); }});
    };
    add("ours", [this] { case_.Step(); });
    if (!flags_.eager.empty()) {
      worker_ = std::make_unique<EagerWorker>(EagerCommand(flags_, case_, plan_.options.dtype));
      const double difference = LargestDifference(case_.Step(), worker_->check());
      Say("waypoints differ by at most", Number("%.2e m", difference));
      result_["largest_waypoint_difference_m"] = difference;
      Say("faster attention of eager", worker_->attention());
      result_["eager_attention"] = worker_->attention();
      arms.push_back({"eager", [this](int n) { return worker_->Run(n); }});
    }
    add("ours again", [this] { case_.Step(); });
    add("products, packed", [this] { probe_.RunPacked(); });
    add("products, plain", [this] { probe_.RunPlain(); });
    times_ = Interleave(arms, plan_.rounds, plan_.steps);
    ReportTimes(times_, &result_);
    ReportStorage();
  }

  void ReportRatios() {
    ReportRatio("A/A control", Get("ours again"), Get("ours"), 0, &result_);
    if (flags_.eager.empty()) return;
    ReportRatio("eager / ours", Get("eager"), Get("ours"), plan_.limits.speedup, &result_);
  }

  const ArmTimes& Get(const std::string& name) const { return Find(times_, name); }

  void ReportRates() {
    const model::ModelGeometry& geometry = case_.model().geometry();
    const auto candidates = static_cast<int64_t>(
        case_.model().uses_lexicon() ? case_.model().lexicon().ids.size() : geometry.text.vocab);
    const StepFlops flops = CountFlops(geometry, plan_.options.prefix, candidates);
    Say("operations, eager / ours", Number("%.3fx", flops.eager / flops.ours));
    const double packed = probe_.flops() / Median(Get("products, packed").cpu_s);
    const double plain = probe_.flops() / Median(Get("products, plain").cpu_s);
    const double reached = flops.ours / Median(Get("ours").cpu_s);
    const double share = reached / std::max(packed, plain);
    Say("products, packed", Number("%.1f GFLOP/s", packed / 1e9));
    Say("products, plain", Number("%.1f GFLOP/s", plain / 1e9));
    Say("step",
        Number("%.1f GFLOP/s", reached / 1e9) + Number(", %.1f %% of the faster", 100 * share));
    result_["flops"] = {{"ours", flops.ours}, {"eager", flops.eager}};
    result_["flops_per_cpu_s"] = {{"packed", packed}, {"plain", plain}, {"step", reached}};
    result_["gemm_share"] = share;
    if (plan_.limits.gemm_share > 0) {
      Say("share at least", Number("%.2f: ", plan_.limits.gemm_share) +
                                (share >= plan_.limits.gemm_share ? "PASS" : "FAIL"));
    }
  }

  void ReportBatch() {
    const auto batch = static_cast<double>(plan_.options.batch);
    const auto arm = [](const char* name, const std::function<void()>& body) {
      return Arm{name, [body](int n) { return TimeSteps(n, body); }};
    };
    const std::vector<ArmTimes> times =
        Interleave({arm("beside the batch", [this] { case_.Step(); }),
                    arm("batch", [this] { case_.BatchStep(); })},
                   std::max(3, plan_.rounds / 3), plan_.steps);
    ReportTimes(times, &result_);
    Ratio throughput = RatioOf(times[0].cpu_s, times[1].cpu_s);
    throughput = {throughput.median * batch, throughput.low * batch, throughput.high * batch};
    Say("throughput, batch of " + std::to_string(plan_.options.batch), ToText(throughput));
    result_["batch"] = plan_.options.batch;
    result_["batch_throughput_cpu"] = ToJson(throughput);
  }

  // The single step is warm by now.
  void ReportStorage() {
    const model::StepStorageStats before = case_.storage();
    case_.Step();
    const model::StepStorageStats after = case_.storage();
    Say("new tensor storage of a warm step",
        std::to_string(after.new_bytes - before.new_bytes) + " bytes");
    result_["new_storage_bytes_per_step"] = after.new_bytes - before.new_bytes;
    result_["storages_per_step"] = after.tensors - before.tensors;
  }

  const Flags& flags_;
  const Plan plan_;
  ActionCase case_;
  const GemmProbe probe_;
  std::unique_ptr<EagerWorker> worker_;
  std::vector<ArmTimes> times_;
  nlohmann::json result_;
};

int Run(int argc, char** argv) {
  Flags flags;
  CLI::App app("Times the action expert's step, interleaved with an eager PyTorch implementation.");
  app.add_option("--preset", flags.presets, "Geometries")
      ->check(CLI::IsMember({"nano", "tiny", "published"}))
      ->capture_default_str();
  app.add_option("--checkpoint", flags.checkpoint,
                 "Use this checkpoint (one --preset names limits)");
  app.add_option("--dtype", flags.dtype, "float32 or bfloat16; published: bfloat16");
  app.add_option("--prefix", flags.prefix, "Tokens of the context; 625 for published, else 250");
  app.add_option("--batch", flags.batch, "Vehicles of the batched step")->check(CLI::Range(1, 64));
  app.add_option("--threads", flags.threads, "Intra-op threads of both")->capture_default_str();
  app.add_option("--rounds", flags.rounds, "Blocks of each arm");
  app.add_option("--steps", flags.steps, "Steps of a block");
  app.add_option("--eager", flags.eager,
                 "Command that runs eager_action_expert.py; else ours alone");
  app.add_option("--json", flags.json, "Write the figures here");
  CLI11_PARSE(app, argc, argv);
  at::set_num_threads(flags.threads);
  const c10::InferenceMode inference;
  nlohmann::json report = Provenance(argc, argv);
  std::printf("%s\n", report.dump(2).c_str());
  for (const std::string& preset : flags.presets) {
    report["cases"].push_back(Comparison(flags, PlanFor(preset, flags)).Run());
  }
  if (!flags.json.empty()) std::ofstream(flags.json) << report.dump(2) << "\n";
  return 0;
}

}  // namespace
}  // namespace automot::benchmarks

int main(int argc, char** argv) {
  automot::LimitOneDnnIsa();
  try {
    return automot::benchmarks::Run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "automot-bench-action: %s\n", error.what());
    return 1;
  }
}
