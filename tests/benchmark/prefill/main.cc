// The understanding expert's prefill against `transformers`
// (tests/benchmark/eager_understanding.py), from pixels to keys and values, in one run; and with
// three of four frames known.
//   tools/dev.sh bench prefill [--text-layers N] [--json FILE]
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>

#include "common/runtime/cpu_isa.h"
#include "tests/benchmark/comparison/eager_worker.h"
#include "tests/benchmark/comparison/interleaving.h"
#include "tests/benchmark/comparison/report.h"
#include "tests/benchmark/prefill/prefill_case.h"

namespace automot::benchmarks {
namespace {

struct Flags {
  PrefillOptions options;
  std::vector<std::string> eager;
  std::string json;
  int threads = 1, rounds = 9;
};

// Root mean square of the difference by that of the reference.
double RelativeDifference(const std::vector<double>& ours, const std::vector<double>& reference) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    difference += (ours[i] - reference.at(i)) * (ours[i] - reference.at(i));
    size += reference[i] * reference[i];
  }
  return std::sqrt(difference / size);
}

void Compare(const Flags& flags, nlohmann::json* report) {
  PrefillCase prefill(flags.options);
  std::vector<std::string> command = flags.eager;
  for (const std::string& word :
       {std::string("serve"), prefill.directory(), prefill.inputs_path(), std::string("--dtype"),
        flags.options.dtype, std::string("--threads"), std::to_string(flags.threads)}) {
    command.push_back(word);
  }
  EagerWorker worker(command);
  const double difference = RelativeDifference(prefill.LastKeys(), worker.check());
  Say("keys differ by (relative, rms)", Number("%.2e", difference));
  Say("faster attention of transformers", worker.attention());
  (*report)["relative_difference"] = difference;
  (*report)["transformers_attention"] = worker.attention();
  const auto ours = [&prefill](int64_t frames) {
    return [&prefill, frames](int steps) {
      return TimeSteps(steps, [&prefill, frames] { prefill.Prefill(frames); });
    };
  };
  const int64_t all = flags.options.frames;
  const std::vector<ArmTimes> times =
      Interleave({{"ours", ours(all)},
                  {"transformers", [&worker](int steps) { return worker.Run(steps); }},
                  {"ours again", ours(all)},
                  {"ours, one new frame", ours(1)}},
                 flags.rounds, 1);
  ReportTimes(times, report);
  ReportRatio("A/A control", Find(times, "ours again"), Find(times, "ours"), 0, report);
  ReportRatio("transformers / ours", Find(times, "transformers"), Find(times, "ours"), 1.0, report);
  ReportRatio("all frames / one new frame", Find(times, "ours"), Find(times, "ours, one new frame"),
              1.15, report);
}

int Run(int argc, char** argv) {
  Flags flags;
  PrefillOptions& options = flags.options;
  CLI::App app("Times the understanding expert's prefill, interleaved with transformers.");
  app.add_option("--text-layers", options.text_layers, "Of the published 36")
      ->check(CLI::Range(1, 36))
      ->capture_default_str();
  app.add_option("--vision-blocks", options.vision_blocks, "Of the published 24")
      ->check(CLI::Range(4, 24))
      ->capture_default_str();
  app.add_option("--dtype", options.dtype, "float32 or bfloat16")->capture_default_str();
  app.add_option("--threads", flags.threads, "Intra-op threads of both")->capture_default_str();
  app.add_option("--rounds", flags.rounds, "Prefills of each arm")->capture_default_str();
  app.add_option("--eager", flags.eager, "Command that runs eager_understanding.py")->required();
  app.add_option("--json", flags.json, "Write the figures here");
  CLI11_PARSE(app, argc, argv);
  at::set_num_threads(flags.threads);
  const c10::InferenceMode inference;
  nlohmann::json report = Provenance(argc, argv);
  report["text_layers"] = options.text_layers;
  report["vision_blocks"] = options.vision_blocks;
  report["dtype"] = options.dtype;
  report["threads"] = flags.threads;
  std::printf("%s\n", report.dump(2).c_str());
  Compare(flags, &report);
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
    std::fprintf(stderr, "automot-bench-prefill: %s\n", error.what());
    return 1;
  }
}
