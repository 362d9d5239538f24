// The stages of the understanding expert: pictures, vision tower, context, answer (spec 2).
#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "common/checkpoint/checkpoint.h"
#include "common/model/understanding_model.h"
#include "common/tokenizer/tokenizer.h"
#include "tools/infer/contexts.h"
#include "tools/infer/inputs.h"
#include "tools/infer/outputs.h"
#include "tools/infer/stage_plan.h"

namespace automot::infer {

// Everything is borrowed and outlives the object. Not thread-safe.
class UnderstandingStages {
 public:
  static absl::StatusOr<UnderstandingStages> Load(const model::Checkpoint& checkpoint,
                                                  const model::Tokenizer& tokenizer,
                                                  const InferOptions& options);

  // Runs what the plan says and adds every result to `outputs`. The contexts are empty unless the
  // plan's context comes from a prefill.
  absl::StatusOr<Contexts> Run(const StagePlan& plan, const Inputs& inputs, Outputs& outputs) const;

 private:
  using Features = std::vector<model::ImageFeature>;
  struct Pixels {
    at::Tensor values;    // [patches, patch values], float32
    at::Tensor grid_thw;  // [images, 3], int64
  };

  UnderstandingStages(const model::Tokenizer& tokenizer, const InferOptions& options,
                      std::unique_ptr<const model::UnderstandingModel> model)
      : tokenizer_(&tokenizer), options_(&options), model_(std::move(model)) {}

  absl::StatusOr<Pixels> MakePixels(const at::Tensor& raw_frames, Outputs& outputs) const;
  absl::StatusOr<Features> Encode(const Pixels& pixels, Outputs& outputs) const;
  absl::StatusOr<model::PromptSequence> Sequence(const Inputs& inputs, const Features& features,
                                                 Outputs& outputs) const;
  absl::StatusOr<Contexts> Prefill(const model::PromptSequence& sequence, const Features& features,
                                   Outputs& outputs) const;
  absl::Status Answer(const Inputs& inputs, const Features& features, Outputs& outputs) const;

  const model::Tokenizer* tokenizer_;
  const InferOptions* options_;
  std::unique_ptr<const model::UnderstandingModel> model_;
};

}  // namespace automot::infer
