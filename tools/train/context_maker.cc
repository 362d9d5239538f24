#include "tools/train/context_maker.h"

#include "common/status/status_macros.h"
#include "common/tokenizer/prompt.h"

namespace automot::train {

absl::StatusOr<std::unique_ptr<ContextMaker>> ContextMaker::Load(model::WeightSource& weights,
                                                                 BatchLoader& loader,
                                                                 int64_t cache_bytes) {
  AUTOMOT_ASSIGN_OR_RETURN(auto vision, model::VisionTower::Load(weights));
  AUTOMOT_ASSIGN_OR_RETURN(auto decoder, model::TextDecoder::Load(weights));
  return std::unique_ptr<ContextMaker>(
      new ContextMaker(std::move(vision), std::move(decoder), loader, cache_bytes));
}

absl::StatusOr<ContextMaker::Features> ContextMaker::FeaturesOf(
    absl::Span<const PlanSample> samples) {
  Features features;
  std::vector<Key> missing;
  std::vector<at::Tensor> patches;
  image::PatchGrid grid;
  for (const PlanSample& sample : samples) {
    for (const FrameRef& frame : sample.history) {
      const Key key{frame, sample.flip};
      if (!features.try_emplace(key).second) continue;
      if (const auto kept = cache_.find(key); kept != cache_.end()) {
        features[key] = kept->second;
        continue;
      }
      AUTOMOT_ASSIGN_OR_RETURN(const model::FramePatches cut, loader_.Patches(frame, sample.flip));
      missing.push_back(key);
      patches.push_back(cut.pixel_values);
      grid = cut.grid;
    }
  }
  if (missing.empty()) return features;
  const std::vector<model::ImageFeature> encoded =
      vision_->Encode(at::cat(patches), grid.h, grid.w);
  for (size_t i = 0; i < missing.size(); ++i) {
    features[missing[i]] = encoded[i];
    Keep(missing[i], encoded[i]);
  }
  return features;
}

void ContextMaker::Keep(const Key& key, const model::ImageFeature& feature) {
  int64_t bytes = static_cast<int64_t>(feature.embeds.nbytes());
  bytes *= 1 + static_cast<int64_t>(feature.deepstack.size());
  if (bytes > free_bytes_) return;
  free_bytes_ -= bytes;
  // Copies: a view would keep the batch that it was encoded in.
  model::ImageFeature own{feature.grid, feature.embeds.clone(), {}};
  for (const at::Tensor& tap : feature.deepstack) own.deepstack.push_back(tap.clone());
  cache_.emplace(key, std::move(own));
}

absl::StatusOr<model::PromptSequence> ContextMaker::SequenceOf(
    const PlanSample& sample, absl::Span<const model::ImageFeature> images) const {
  const Episode& episode = *loader_.dataset().episodes[static_cast<size_t>(sample.context.episode)];
  const auto frame = static_cast<size_t>(sample.context.frame);
  const float* const points = episode.target_points.data() + 4 * frame;
  const double side = sample.flip ? -1.0 : 1.0;
  AUTOMOT_ASSIGN_OR_RETURN(const std::string instruction,
                           model::FormatInstruction({Vec2{points[0], side * points[1]},
                                                     Vec2{points[2], side * points[3]}},
                                                    episode.speed_mps[frame]));
  AUTOMOT_ASSIGN_OR_RETURN(const model::PromptIds ids,
                           model::BuildPromptIds(loader_.tokenizer(), instruction));
  std::vector<model::ImageGrid> grids;
  for (const model::ImageFeature& image : images) grids.push_back(image.grid);
  return model::BuildSequence(loader_.geometry(), ids.prefix, grids, ids.instruction);
}

absl::StatusOr<std::vector<ContextLayers>> ContextMaker::Make(
    absl::Span<const PlanSample> samples) {
  std::vector<PlanSample> distinct;
  std::vector<size_t> own;  // per sample: its place in `distinct`
  for (const PlanSample& sample : samples) {
    const bool again = !distinct.empty() && distinct.back().first_place == sample.first_place;
    if (!again) distinct.push_back(sample);
    own.push_back(distinct.size() - 1);
  }
  AUTOMOT_ASSIGN_OR_RETURN(const std::vector<ContextLayers> made, Prefill(distinct));
  std::vector<ContextLayers> contexts;
  contexts.reserve(samples.size());
  for (size_t i = 0; i < samples.size(); ++i) {
    contexts.push_back(made[own[i]]);  // tensors are shared
    contexts.back().hidden = samples[i].context_hidden;
  }
  return contexts;
}

absl::StatusOr<std::vector<ContextLayers>> ContextMaker::Prefill(
    absl::Span<const PlanSample> samples) {
  AUTOMOT_ASSIGN_OR_RETURN(const Features features, FeaturesOf(samples));
  std::vector<std::vector<model::ImageFeature>> images(samples.size());
  std::vector<model::PromptSequence> sequences;
  std::vector<model::SequenceInput> inputs;
  for (size_t i = 0; i < samples.size(); ++i) {
    for (const FrameRef& frame : samples[i].history) {
      images[i].push_back(features.at({frame, samples[i].flip}));
    }
    AUTOMOT_ASSIGN_OR_RETURN(sequences.emplace_back(), SequenceOf(samples[i], images[i]));
  }
  std::vector<ContextLayers> contexts;
  for (size_t i = 0; i < samples.size(); ++i) {
    inputs.push_back({&sequences[i], images[i]});
    contexts.push_back(
        {.tokens = sequences[i].tokens(), .position_start = sequences[i].next_position});
  }
  const model::ContextDims dims = model::DimsOf(loader_.geometry(), model::ContextForm::kCompact);
  AUTOMOT_RETURN_IF_ERROR(decoder_->Prefill(
      inputs, model::ContextForm::kCompact,
      [&](size_t item, int64_t, const at::Tensor& keys, const at::Tensor& values) {
        const model::LayerKeysValues kept = model::SelectForm(keys, values, dims);
        contexts[item].layers.push_back({kept.keys.clone(), kept.values.clone()});
        return absl::OkStatus();
      }));
  return contexts;
}

}  // namespace automot::train
