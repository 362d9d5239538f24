// The model on one intra-op thread, stage by stage: a tick (BEV encoder + action expert) and a
// refresh (frames to keys and values).
//   build/<preset>/bin/automot-bench-model [--checkpoint DIR] [--benchmark_filter=...] [--json
//   FILE]
// Without --checkpoint a random one of the nano preset is written to a temporary folder. On a
// shared machine only the best of many repetitions says something: --benchmark_repetitions=20.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "common/image/crop.h"
#include "common/model/action_model.h"
#include "common/model/bev/bev_encoder.h"
#include "common/model/frame_encoder.h"
#include "common/runtime/cpu_isa.h"
#include "common/tokenizer/prompt.h"
#include "tests/benchmark/benchmark_main.h"
#include "tests/benchmark/temporary_checkpoint/temporary_checkpoint.h"

namespace automot::model {
namespace {

template <typename T>
T OrDie(absl::StatusOr<T> value) {
  if (value.ok()) return std::move(value).value();
  std::fprintf(stderr, "automot-bench-model: %s\n", std::string(value.status().message()).c_str());
  std::exit(1);
}

void OkOrDie(const absl::Status& status) { OrDie(status.ok() ? absl::StatusOr<int>(0) : status); }

// Everything that both loops run, and one observation.
struct Bench {
  std::shared_ptr<const Checkpoint> checkpoint;
  std::unique_ptr<const Tokenizer> tokenizer;
  std::unique_ptr<const UnderstandingModel> understanding;
  std::unique_ptr<BevEncoder> bev;
  std::unique_ptr<const ActionModel> action;
  RgbImage camera;
  PromptIds prompt;
  at::Tensor lidar_counts;  // [1, 1, rows, cols], uint8
  ActionInputs inputs;
  // One context in the form that the planning service gets.
  std::vector<at::Tensor> keys, values;
  ActionContext context;
  std::vector<ImageFeature> features;
};
Bench* bench = nullptr;

RgbImage NoisyPicture(int width, int height) {
  RgbImage picture{.width = width, .height = height};
  uint32_t noise = 1;
  for (int i = 0; i < width * height * 3; ++i) {
    noise = noise * 1664525 + 1013904223;
    picture.pixels.push_back(static_cast<uint8_t>(noise >> 24));
  }
  return picture;
}

at::Tensor Cropped(const RgbImage& camera) {
  const PreprocessGeometry& geometry = bench->checkpoint->geometry().preprocess;
  const RgbImage crop = OrDie(image::CropTopRows(camera, static_cast<int>(geometry.crop_rows)));
  return at::from_blob(const_cast<uint8_t*>(crop.pixels.data()), {1, crop.height, crop.width, 3},
                       at::kByte)
      .clone();
}

PromptSequence SequenceOf(const std::vector<ImageFeature>& features) {
  return OrDie(
      bench->understanding->Sequence(bench->prompt.prefix, features, bench->prompt.instruction));
}

// Compact keys and values of every layer, copied out as a service publishes them.
void Prefill(const std::vector<ImageFeature>& features) {
  const ContextDims dims = DimsOf(bench->checkpoint->geometry(), ContextForm::kCompact);
  bench->keys.clear();
  bench->values.clear();
  const auto keep = [&](int64_t, const at::Tensor& k, const at::Tensor& v) {
    const LayerKeysValues layer = SelectForm(k, v, dims);
    bench->keys.push_back(layer.keys.contiguous());
    bench->values.push_back(layer.values.contiguous());
    return absl::OkStatus();
  };
  OkOrDie(
      bench->understanding->Prefill(SequenceOf(features), features, keep, ContextForm::kCompact));
}

std::vector<ImageFeature> EncodeFrames(FrameEncoder& encoder, int64_t frames) {
  std::vector<ImageFeature> features;
  for (int64_t i = 0; i < frames; ++i) features.push_back(OrDie(encoder.Encode(bench->camera)));
  return features;
}

void PrepareContext() {
  ContextBuffers buffers{.form = ContextForm::kCompact,
                         .dtype = bench->keys[0].scalar_type(),
                         .tokens = bench->keys[0].size(0),
                         .position_start = SequenceOf(bench->features).next_position};
  for (size_t i = 0; i < bench->keys.size(); ++i) {
    buffers.keys.push_back(bench->keys[i].const_data_ptr());
    buffers.values.push_back(bench->values[i].const_data_ptr());
  }
  bench->context = OrDie(bench->action->Prepare(buffers));
}

void LoadModels(const std::string& directory) {
  bench->checkpoint = OrDie(Checkpoint::Open(directory));
  bench->tokenizer = OrDie(Tokenizer::Load(bench->checkpoint->tokenizer_path()));
  bench->understanding = OrDie(UnderstandingModel::Load(*bench->checkpoint, {}));
  bench->bev = OrDie(BevEncoder::Load(*bench->checkpoint, {}));
  bench->action = OrDie(ActionModel::Load(*bench->checkpoint, *bench->tokenizer, {}));
}

void LoadBench(const std::string& directory) {
  LoadModels(directory);
  const ModelGeometry& geometry = bench->checkpoint->geometry();
  bench->camera = NoisyPicture(static_cast<int>(geometry.preprocess.camera_width),
                               static_cast<int>(geometry.preprocess.camera_height));
  const std::string instruction =
      OrDie(FormatInstruction({Vec2{12.345678, -3.217654}, Vec2{48.112233, 5.554433}}, 7.31));
  bench->prompt = OrDie(BuildPromptIds(*bench->tokenizer, instruction));
  bench->lidar_counts =
      at::randint(0, 6, {1, 1, geometry.bev.lidar_rows, geometry.bev.lidar_cols}, at::kByte);
  bench->inputs = {OrDie(bench->bev->Encode(Cropped(bench->camera), bench->lidar_counts)),
                   at::tensor({12.3F, -3.2F, 48.1F, 5.5F}).view({1, 2, 2}), at::tensor({7.31F})};
  FrameEncoder encoder = OrDie(FrameEncoder::Create(*bench->understanding));
  bench->features = EncodeFrames(encoder, geometry.driving.history_frames);
  Prefill(bench->features);
  PrepareContext();
}

void BM_BevEncoder(benchmark::State& state) {
  const at::Tensor rgb = Cropped(bench->camera);
  for (auto _ : state)
    benchmark::DoNotOptimize(OrDie(bench->bev->Encode(rgb, bench->lidar_counts)));
}

void BM_ActionExpert(benchmark::State& state) {
  const ContextUse use{&bench->context};
  for (auto _ : state)
    benchmark::DoNotOptimize(OrDie(bench->action->Plan(bench->inputs, {&use, 1})));
}

// The planning loop's model work: encoder, then expert.
void BM_Tick(benchmark::State& state) {
  const at::Tensor rgb = Cropped(bench->camera);
  const ContextUse use{&bench->context};
  for (auto _ : state) {
    const ActionInputs inputs{OrDie(bench->bev->Encode(rgb, bench->lidar_counts)),
                              bench->inputs.target_points, bench->inputs.speed};
    benchmark::DoNotOptimize(OrDie(bench->action->Plan(inputs, {&use, 1})));
  }
}

void BM_EncodeFrame(benchmark::State& state) {
  FrameEncoder encoder = OrDie(FrameEncoder::Create(*bench->understanding));
  for (auto _ : state) benchmark::DoNotOptimize(OrDie(encoder.Encode(bench->camera)));
}

void BM_Prefill(benchmark::State& state) {
  for (auto _ : state) Prefill(bench->features);
  PrepareContext();
}

// Contexts of several vehicles in one run; items per second are vehicles.
void BM_PrefillBatch(benchmark::State& state) {
  const PromptSequence sequence = SequenceOf(bench->features);
  const std::vector<SequenceInput> batch(static_cast<size_t>(state.range(0)),
                                         {&sequence, bench->features});
  const auto keep = [](size_t, int64_t, const at::Tensor& k, const at::Tensor& v) {
    benchmark::DoNotOptimize(k.const_data_ptr());
    benchmark::DoNotOptimize(v.const_data_ptr());
    return absl::OkStatus();
  };
  for (auto _ : state) {
    OkOrDie(bench->understanding->PrefillBatch(batch, keep, ContextForm::kCompact));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

// The reasoning loop's model work: the frames that the vision cache lacks, then the context. At 4
// Hz on the history grid all frames but the newest are cached.
void BM_Refresh(benchmark::State& state) {
  const auto frames = static_cast<int64_t>(bench->features.size());
  const int64_t cached = std::min(state.range(0), frames);
  FrameEncoder encoder = OrDie(FrameEncoder::Create(*bench->understanding));
  for (auto _ : state) {
    std::vector<ImageFeature> features(bench->features.begin(), bench->features.begin() + cached);
    for (ImageFeature& feature : EncodeFrames(encoder, frames - cached)) {
      features.push_back(std::move(feature));
    }
    Prefill(features);
  }
  PrepareContext();
  state.counters["tokens"] = static_cast<double>(SequenceOf(bench->features).tokens());
}

BENCHMARK(BM_BevEncoder)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_ActionExpert)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_Tick)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_EncodeFrame)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_Prefill)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_PrefillBatch)
    ->ArgName("vehicles")
    ->Arg(1)
    ->Arg(2)
    ->Arg(4)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(BM_Refresh)->ArgName("cached")->Arg(0)->Arg(3)->Unit(benchmark::kMillisecond);

int Run(std::vector<std::string> arguments) {
  std::string given;
  for (size_t i = 1; i + 1 < arguments.size(); ++i) {
    if (arguments[i] != "--checkpoint") continue;
    given = arguments[i + 1];
    arguments.erase(arguments.begin() + static_cast<ptrdiff_t>(i),
                    arguments.begin() + static_cast<ptrdiff_t>(i) + 2);
    break;
  }
  benchmarks::TemporaryCheckpoint nano;  // until it is loaded
  if (given.empty()) nano = OrDie(benchmarks::TemporaryCheckpoint::WriteNano());
  bench = new Bench;
  LoadBench(given.empty() ? nano.directory() : given);
  return RunBenchmarks(arguments);
}

}  // namespace
}  // namespace automot::model

int main(int argc, char** argv) {
  automot::LimitOneDnnIsa();
  at::set_num_threads(1);
  return automot::model::Run({argv, argv + argc});
}
