#include "tests/benchmark/context_bytes/bytes_case.h"

#include <cmath>
#include <random>
#include <utility>

#include "common/context/quantisation.h"
#include "common/status/status_macros.h"
#include "services/planning/torch_action_expert.h"
#include "services/reasoning/torch_understanding_expert.h"

namespace automot {
namespace {

using context::ContextLayout;

void FillHeader(const reasoning::UnderstandingExpertInfo& info, const reasoning::ContextPlan& plan,
                context::SnapshotHeader* header) {
  header->id = {.session = 1, .episode = 1, .epoch = 1, .version = 1};
  header->frame_capture_times_us = {0};
  header->position_start = plan.position_start;
  header->layout = plan.layout;
  header->model_revision = info.model_revision;
  header->prompt_template = info.prompt_template;
  header->instruction_mask = "causal";
  header->history_spacing_s = static_cast<double>(info.history_spacing_us) / 1e6;
}

LidarHistogram Sweep(uint32_t seed) {
  LidarHistogram histogram;
  histogram.counts.resize(65536);
  std::mt19937 random(seed);
  for (auto& count : histogram.counts) count = random() % 8 == 0 ? random() % 6 : 0;
  return histogram;
}

}  // namespace

RgbImage Picture(int width, int height, uint32_t seed) {
  RgbImage picture{.width = width, .height = height};
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> unit(0.5, 6.0);
  const double fx = unit(random), fy = unit(random), phase = unit(random);
  picture.pixels.reserve(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int channel = 0; channel < 3; ++channel) {
        const double wave = std::sin(fx * x / width + phase * channel) * std::cos(fy * y / height);
        const double value = 128.0 + 90.0 * wave + static_cast<double>(random() % 31) - 15.0;
        picture.pixels.push_back(static_cast<uint8_t>(value));
      }
    }
  }
  return picture;
}

absl::StatusOr<ExpertPair> ExpertPair::Load(const std::string& checkpoint, const std::string& dtype,
                                            int threads) {
  ExpertPair pair;
  AUTOMOT_ASSIGN_OR_RETURN(const auto factory,
                           reasoning::TorchExpertFactory({.checkpoint = checkpoint,
                                                          .dtype = dtype,
                                                          .threads = threads,
                                                          .publish_decisions = false}));
  AUTOMOT_ASSIGN_OR_RETURN(pair.understanding_, factory());
  AUTOMOT_ASSIGN_OR_RETURN(pair.action_,
                           planning::LoadTorchActionExpert(
                               {.checkpoint = checkpoint, .dtype = dtype, .threads = threads}));
  return pair;
}

absl::StatusOr<std::shared_ptr<context::ContextSnapshot>> ExpertPair::Context(const Scene& scene) {
  const reasoning::UnderstandingExpertInfo& info = understanding_->info();
  reasoning::VisionFeatures features;
  for (const uint32_t seed : scene.frames) {
    AUTOMOT_ASSIGN_OR_RETURN(auto feature, understanding_->EncodeFrame(Picture(
                                               info.camera_width, info.camera_height, seed)));
    features.push_back(std::move(feature));
  }
  AUTOMOT_ASSIGN_OR_RETURN(
      const reasoning::ContextPlan plan,
      understanding_->PlanContext(scene.prompt, static_cast<int>(features.size()),
                                  ContextLayout::Kind::kCompact));
  auto snapshot = std::make_shared<context::ContextSnapshot>();
  FillHeader(info, plan, &snapshot->header);
  AUTOMOT_ASSIGN_OR_RETURN(snapshot->kv, context::KvBuffer::Allocate(plan.layout));
  AUTOMOT_RETURN_IF_ERROR(understanding_->Prefill(plan, features, snapshot->kv, [](int) {}));
  return snapshot;
}

absl::StatusOr<context::KvBuffer> ExpertPair::Codes(const context::ContextSnapshot& snapshot,
                                                    ContextLayout::ElementType type) {
  AUTOMOT_ASSIGN_OR_RETURN(
      context::KvBuffer codes,
      context::KvBuffer::Allocate(context::WithElementType(snapshot.kv.layout(), type)));
  for (int layer = 0; layer < codes.layout().layers; ++layer) {
    AUTOMOT_RETURN_IF_ERROR(context::QuantiseLayer(snapshot.kv, layer, codes));
  }
  return codes;
}

absl::StatusOr<std::shared_ptr<context::ContextSnapshot>> ExpertPair::ThroughType(
    const context::ContextSnapshot& snapshot, ContextLayout::ElementType type) {
  AUTOMOT_ASSIGN_OR_RETURN(const context::KvBuffer codes, Codes(snapshot, type));
  auto back = std::make_shared<context::ContextSnapshot>();
  back->header = snapshot.header;
  AUTOMOT_ASSIGN_OR_RETURN(back->kv, context::KvBuffer::Allocate(snapshot.kv.layout()));
  AUTOMOT_RETURN_IF_ERROR(context::Dequantise(codes, back->kv));
  return back;
}

absl::StatusOr<planning::PlanOutput> ExpertPair::Plan(const Scene& scene,
                                                      context::SnapshotPtr context) {
  const planning::ActionExpertInfo& info = action_->info();
  AUTOMOT_ASSIGN_OR_RETURN(const auto prepared, action_->Prepare(std::move(context)));
  const RgbImage camera = Picture(info.camera_width, info.camera_height, scene.frames.back());
  const LidarHistogram lidar = Sweep(scene.frames.back());
  const planning::PlanFeatures features = {
      .camera = &camera,
      .lidar = &lidar,
      .target_points = {scene.prompt.target.current, scene.prompt.target.next},
      .speed_mps = scene.prompt.speed_mps};
  planning::PlanOutput output;
  AUTOMOT_RETURN_IF_ERROR(action_->Plan(features, *prepared, &output));
  return output;
}

}  // namespace automot
