// The understanding expert's contexts for the action expert's training, each made from the old
// frames and the old prompt of its own capture.
#pragma once

#include <ATen/ATen.h>

#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/text_decoder.h"
#include "common/model/vision_tower.h"
#include "common/model/weights.h"
#include "tools/train/batch_loader.h"
#include "tools/train/context_batch.h"

namespace automot::train {

// Keeps the vision features of frames that were seen, until they fill their budget: frames do not
// see each other, so they are the same in every context as long as the weights are. Not
// thread-safe.
class ContextMaker {
 public:
  // loader: borrowed. Throws LibTorch's exceptions, as Make does.
  static absl::StatusOr<std::unique_ptr<ContextMaker>> Load(model::WeightSource& weights,
                                                            BatchLoader& loader,
                                                            int64_t cache_bytes);

  // Samples of one `first_place` in a row share one context. Keeps gradients where grad mode is on.
  absl::StatusOr<std::vector<ContextLayers>> Make(absl::Span<const PlanSample> samples);

  int64_t cached_frames() const { return static_cast<int64_t>(cache_.size()); }

 private:
  using Key = std::tuple<FrameRef, bool>;
  using Features = std::map<Key, model::ImageFeature>;
  ContextMaker(std::unique_ptr<const model::VisionTower> vision,
               std::unique_ptr<const model::TextDecoder> decoder, BatchLoader& loader,
               int64_t cache_bytes)
      : vision_(std::move(vision)),
        decoder_(std::move(decoder)),
        loader_(loader),
        free_bytes_(cache_bytes) {}
  absl::StatusOr<std::vector<ContextLayers>> Prefill(absl::Span<const PlanSample> samples);
  absl::StatusOr<Features> FeaturesOf(absl::Span<const PlanSample> samples);
  absl::StatusOr<model::PromptSequence> SequenceOf(
      const PlanSample& sample, absl::Span<const model::ImageFeature> images) const;
  void Keep(const Key& key, const model::ImageFeature& feature);

  std::unique_ptr<const model::VisionTower> vision_;
  std::unique_ptr<const model::TextDecoder> decoder_;
  BatchLoader& loader_;
  int64_t free_bytes_;
  Features cache_;
};

}  // namespace automot::train
