// What fewer bytes of context cost and save on a checkpoint: plans with FP8 and INT8 contexts
// against plans with the computed ones, and bytes that a consumer of the refresh before holds.
//   build/<preset>/bin/automot-bench-context-bytes --checkpoint DIR --dtype bfloat16
// Without --checkpoint a random one of the nano preset is written to a temporary folder. Random
// weights drive nowhere: their figures say how far errors travel, not what a trained model does.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "common/runtime/cpu_isa.h"
#include "common/status/status_macros.h"
#include "tests/benchmark/context_bytes/bytes_figures.h"
#include "tests/benchmark/temporary_checkpoint/temporary_checkpoint.h"

namespace automot {
namespace {

struct Options {
  std::string checkpoint, json;
  std::string dtype = "float32";
  int scenes = 8;
  int threads = 1;
};

Scene SceneAt(int number, int frames) {
  Scene scene;
  for (int i = 0; i < frames; ++i) scene.frames.push_back(static_cast<uint32_t>(number + i));
  scene.prompt = {.target = {.current = {12.34 + number, -3.2 + 0.7 * number},
                             .next = {48.1 + 2.0 * number, 5.5 - number}},
                  .speed_mps = 7.3 + 0.4 * number};
  return scene;
}

absl::StatusOr<nlohmann::json> Reuse(ExpertPair& experts) {
  const int frames = experts.history_frames();
  const Scene scene = SceneAt(1, frames);
  Scene moving = SceneAt(2, frames);  // its history is the scene's, one frame on
  Scene new_target = scene;
  new_target.prompt.target.current.x += 0.5;
  Scene new_newest = scene;
  new_newest.frames.back() += 1000;
  nlohmann::json json;
  AUTOMOT_ASSIGN_OR_RETURN(json["moving_vehicle"], MeasureReuse(experts, scene, moving));
  AUTOMOT_ASSIGN_OR_RETURN(json["still_camera_new_target"],
                           MeasureReuse(experts, scene, new_target));
  AUTOMOT_ASSIGN_OR_RETURN(json["still_camera_same_prompt"], MeasureReuse(experts, scene, scene));
  AUTOMOT_ASSIGN_OR_RETURN(json["only_newest_frame_changed"],
                           MeasureReuse(experts, scene, new_newest));
  return json;
}

absl::Status Measure(const Options& options) {
  AUTOMOT_ASSIGN_OR_RETURN(ExpertPair experts,
                           ExpertPair::Load(options.checkpoint, options.dtype, options.threads));
  std::vector<Scene> scenes;
  for (int i = 0; i < options.scenes; ++i) {
    scenes.push_back(SceneAt(10 * i, experts.history_frames()));
  }
  nlohmann::json json;
  AUTOMOT_ASSIGN_OR_RETURN(json["quantisation"], MeasureQuantisation(experts, scenes));
  AUTOMOT_ASSIGN_OR_RETURN(json["reuse"], Reuse(experts));
  std::printf("%s\n", json.dump(1).c_str());
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
  CLI::App app("Cost and saving of fewer bytes of context on a checkpoint.");
  app.add_option("--checkpoint", options.checkpoint, "Directory; default: random, nano");
  app.add_option("--dtype", options.dtype)->check(CLI::IsMember({"float32", "bfloat16"}));
  app.add_option("--scenes", options.scenes)->check(CLI::Range(1, 1000));
  app.add_option("--threads", options.threads, "Intra-op threads")->check(CLI::Range(1, 1024));
  app.add_option("--json", options.json, "File to write the figures to");
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = automot::Run(options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "automot-bench-context-bytes: %s\n", std::string(status.message()).c_str());
  return 1;
}
