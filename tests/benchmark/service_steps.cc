// One service's steps on a checkpoint, as its own thread takes them: how long loading and each step
// take, and the most memory that the process holds, mapped pages of the files included.
//   build/<preset>/bin/automot-bench-steps --checkpoint DIR --service reasoning --dtype bfloat16
// On a shared machine only the processor time of --threads 1 says something.
// Without --checkpoint a random one of the nano preset is written to a temporary folder.

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <memory>
#include <random>
#include <string>

#include "common/checkpoint/checkpoint.h"
#include "common/model/context_export.h"
#include "common/runtime/cpu_isa.h"
#include "common/status/status_macros.h"
#include "common/tokenizer/prompt.h"
#include "nlohmann/json.hpp"
#include "services/planning/torch_action_expert.h"
#include "services/reasoning/torch_understanding_expert.h"
#include "tests/benchmark/temporary_checkpoint/temporary_checkpoint.h"

namespace automot {
namespace {

using context::ContextLayout;

struct Options {
  std::string checkpoint, json;
  std::string service = "both", dtype = "bfloat16";
  int steps = 2;
  int threads = 0;   // 0: every core that the process may use
  int tokens = 625;  // of the context that planning reads; the published prompt's length
};

// A line of /proc/self/status, bytes.
int64_t StatusBytes(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    int64_t kilobytes = 0;
    if (word == field + ":" && status >> kilobytes) return kilobytes << 10;
  }
  return 0;
}

// Times the stages of one service and watches its memory from here on.
class Report {
 public:
  explicit Report(const std::string& service) : service_(service) {
    std::ofstream("/proc/self/clear_refs") << 5;  // the peak begins anew
  }
  template <typename Stage>
  auto Time(const std::string& stage, const Stage& run) {
    const auto begin = std::chrono::steady_clock::now();
    const std::clock_t cpu_begin = std::clock();
    auto result = run();
    const double cpu = static_cast<double>(std::clock() - cpu_begin) / CLOCKS_PER_SEC;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    std::printf("%-10s %-18s %9.3f s %9.3f s of processor time\n", service_.c_str(), stage.c_str(),
                took.count(), cpu);
    std::fflush(stdout);
    json_[stage].push_back({{"seconds", took.count()}, {"processor_seconds", cpu}});
    return result;
  }
  nlohmann::json Finish() {
    json_["peak_bytes"] = StatusBytes("VmHWM");
    json_["anonymous_bytes"] = StatusBytes("RssAnon");
    json_["file_bytes"] = StatusBytes("RssFile");
    std::printf("%-10s peak %.2f GB; now %.2f GB anonymous, %.2f GB of files\n", service_.c_str(),
                json_["peak_bytes"].get<double>() / 1e9,
                json_["anonymous_bytes"].get<double>() / 1e9,
                json_["file_bytes"].get<double>() / 1e9);
    return json_;
  }

 private:
  const std::string service_;
  nlohmann::json json_;
};

RgbImage Noise(int width, int height) {
  RgbImage picture{.width = width, .height = height};
  picture.pixels.resize(static_cast<size_t>(width) * static_cast<size_t>(height) * 3);
  std::mt19937 generator(1);
  for (uint8_t& byte : picture.pixels) byte = static_cast<uint8_t>(generator());
  return picture;
}

// Everything that a refresh runs: frames, keys and values, decision.
absl::Status Refresh(reasoning::UnderstandingExpert& expert, Report& report) {
  const auto& info = expert.info();
  const auto camera =
      std::make_shared<const RgbImage>(Noise(info.camera_width, info.camera_height));
  reasoning::VisionFeatures features;
  for (int i = 0; i < info.history_frames; ++i) {
    AUTOMOT_ASSIGN_OR_RETURN(
        auto feature, report.Time("encode one frame", [&] { return expert.EncodeFrame(*camera); }));
    features.push_back(std::move(feature));
  }
  const reasoning::ContextPrompt prompt = {.target = {{12.345678, -3.217654}, {48.112233, 5.5}},
                                           .speed_mps = 7.31};
  AUTOMOT_ASSIGN_OR_RETURN(
      const reasoning::ContextPlan plan,
      expert.PlanContext(prompt, info.history_frames, ContextLayout::Kind::kCompact));
  AUTOMOT_ASSIGN_OR_RETURN(context::KvBuffer kv, context::KvBuffer::Allocate(plan.layout));
  AUTOMOT_RETURN_IF_ERROR(
      report.Time("prefill", [&] { return expert.Prefill(plan, features, kv, [](int) {}); }));
  return report
      .Time("decide", [&] { return expert.Decide(plan, kv, {.camera = camera, .prompt = prompt}); })
      .status();
}

absl::StatusOr<nlohmann::json> MeasureReasoning(const Options& options) {
  Report report("reasoning");
  AUTOMOT_ASSIGN_OR_RETURN(
      const auto factory,
      reasoning::TorchExpertFactory(
          {.checkpoint = options.checkpoint, .dtype = options.dtype, .threads = options.threads}));
  AUTOMOT_ASSIGN_OR_RETURN(const auto expert, report.Time("load", factory));
  for (int step = 0; step < options.steps; ++step) {
    AUTOMOT_RETURN_IF_ERROR(Refresh(*expert, report));
  }
  return report.Finish();
}

// A context of zeros, in the form that the service receives.
absl::StatusOr<context::SnapshotPtr> EmptySnapshot(const Options& options) {
  AUTOMOT_ASSIGN_OR_RETURN(const auto checkpoint, model::Checkpoint::Open(options.checkpoint));
  const model::ModelGeometry& geometry = checkpoint->geometry();
  const model::ContextDims dims = model::DimsOf(geometry, model::ContextForm::kCompact);
  auto snapshot = std::make_shared<context::ContextSnapshot>();
  context::SnapshotHeader& header = snapshot->header;
  header.layout = {.kind = ContextLayout::Kind::kCompact,
                   .element_type = options.dtype == "bfloat16"
                                       ? ContextLayout::ElementType::kBFloat16
                                       : ContextLayout::ElementType::kFloat32,
                   .layers = static_cast<int>(dims.layers),
                   .tokens = options.tokens,
                   .kv_heads = static_cast<int>(dims.kv_heads),
                   .k_head_dim = static_cast<int>(dims.key_dim),
                   .v_head_dim = static_cast<int>(dims.value_dim)};
  header.position_start = options.tokens;
  header.frame_capture_times_us = {0};
  header.model_revision = std::string(checkpoint->revision());
  header.prompt_template = std::string(model::kPromptTemplate);
  header.instruction_mask = "causal";
  header.history_spacing_s = geometry.driving.history_spacing_s;
  header.id = {.session = 1, .episode = 1, .epoch = 1, .version = 1};
  AUTOMOT_ASSIGN_OR_RETURN(snapshot->kv, context::KvBuffer::Allocate(header.layout));
  return context::SnapshotPtr(std::move(snapshot));
}

absl::StatusOr<nlohmann::json> MeasurePlanning(const Options& options) {
  Report report("planning");
  AUTOMOT_ASSIGN_OR_RETURN(context::SnapshotPtr snapshot, EmptySnapshot(options));
  AUTOMOT_ASSIGN_OR_RETURN(const auto expert, report.Time("load", [&] {
    return planning::LoadTorchActionExpert(
        {.checkpoint = options.checkpoint, .dtype = options.dtype, .threads = options.threads});
  }));
  AUTOMOT_ASSIGN_OR_RETURN(const auto context, expert->Prepare(std::move(snapshot)));
  const RgbImage camera = Noise(expert->info().camera_width, expert->info().camera_height);
  const planning::PlanFeatures features = {
      .camera = &camera, .target_points = {{12.3, -3.2}, {48.1, 5.5}}, .speed_mps = 7.3};
  planning::PlanOutput output;
  for (int step = 0; step < options.steps; ++step) {
    AUTOMOT_RETURN_IF_ERROR(
        report.Time("plan", [&] { return expert->Plan(features, *context, &output); }));
  }
  return report.Finish();
}

absl::Status Measure(const Options& options) {
  nlohmann::json json;
  if (options.service != "planning") {
    AUTOMOT_ASSIGN_OR_RETURN(json["reasoning"], MeasureReasoning(options));
  }
  if (options.service != "reasoning") {
    AUTOMOT_ASSIGN_OR_RETURN(json["planning"], MeasurePlanning(options));
  }
  if (!options.json.empty()) std::ofstream(options.json) << json.dump(1) << "\n";
  return absl::OkStatus();
}

absl::Status Run(Options options) {
  if (!options.checkpoint.empty()) return Measure(options);
  AUTOMOT_ASSIGN_OR_RETURN(const auto nano, benchmarks::TemporaryCheckpoint::WriteNano());
  options.checkpoint = nano.directory();
  return Measure(options);
}

}  // namespace
}  // namespace automot

int main(int argc, char** argv) {
  automot::LimitOneDnnIsa();
  automot::Options options;
  CLI::App app("Time and memory of a service's steps on a checkpoint.");
  app.add_option("--checkpoint", options.checkpoint, "Directory; default: random, nano");
  app.add_option("--service", options.service)
      ->check(CLI::IsMember({"both", "reasoning", "planning"}));
  app.add_option("--dtype", options.dtype)->check(CLI::IsMember({"float32", "bfloat16"}));
  app.add_option("--steps", options.steps)->check(CLI::Range(1, 1000));
  app.add_option("--threads", options.threads, "Intra-op threads; 0: all cores")
      ->check(CLI::Range(0, 1024));
  app.add_option("--tokens", options.tokens, "Length of planning's context")
      ->check(CLI::Range(1, 65536));
  app.add_option("--json", options.json, "File to write the figures to");
  CLI11_PARSE(app, argc, argv);
  if (options.threads == 0) options.threads = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  const absl::Status status = automot::Run(options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "automot-bench-steps: %s\n", std::string(status.message()).c_str());
  return 1;
}
