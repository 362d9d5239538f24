// Decodes the decision that is published with a snapshot (semantics 7): BEV encoder and the first
// 75 rows of the action expert on the snapshot's own observation. LibTorch inside.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "common/checkpoint/checkpoint.h"
#include "common/model/action_model.h"
#include "common/model/bev/bev_encoder.h"
#include "common/tokenizer/tokenizer.h"
#include "services/reasoning/understanding_expert.h"

namespace automot::reasoning {

// Not thread-safe: belongs to the expert's thread.
class TorchDecision {
 public:
  // `tokenizer` outlives the object.
  static absl::StatusOr<std::unique_ptr<TorchDecision>> Load(const model::Checkpoint& checkpoint,
                                                             const model::Tokenizer& tokenizer,
                                                             const model::ModelOptions& options);

  // INVALID_ARGUMENT where the camera is not the checkpoint's.
  absl::StatusOr<Decision> Decide(const ContextPlan& plan, const context::KvBuffer& keys_values,
                                  const DecisionInputs& inputs) const;

 private:
  TorchDecision(const model::Tokenizer* tokenizer, std::unique_ptr<model::BevEncoder> bev,
                std::unique_ptr<const model::ActionModel> action)
      : tokenizer_(tokenizer), bev_(std::move(bev)), action_(std::move(action)) {}
  absl::StatusOr<at::Tensor> BevFeatureOf(const DecisionInputs& inputs) const;
  absl::StatusOr<RgbImage> CroppedCamera(const DecisionInputs& inputs) const;

  const model::Tokenizer* const tokenizer_;
  const std::unique_ptr<model::BevEncoder> bev_;
  const std::unique_ptr<const model::ActionModel> action_;
};

}  // namespace automot::reasoning
