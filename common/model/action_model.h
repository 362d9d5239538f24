// The action expert with its encoders and heads, as services and tools use it: contexts in host
// memory in, trajectory and decision out (spec 3, 5.1).
#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/checkpoint/checkpoint.h"
#include "common/model/action_context.h"
#include "common/model/action_encoder.h"
#include "common/model/action_expert.h"
#include "common/model/heads.h"
#include "common/model/lexicon.h"
#include "common/model/weights.h"
#include "common/tokenizer/tokenizer.h"

namespace automot::model {

enum class DecisionLogits : uint8_t { kLexicon, kFull };

struct ActionOptions {
  ModelOptions model;
  DecisionLogits decision_logits = DecisionLogits::kLexicon;  // full where no lexicon is usable
  bool decision_only = false;  // load what Decide runs; Plan is then FAILED_PRECONDITION
};

// CPU but for `hidden`. Of one observation each, batch first.
struct ActionOutput {
  DecisionHead::Result decision;
  at::Tensor route_raw;   // [batch, route points, 2], float32
  at::Tensor route;       // [batch, route points, 2], float32, ego frame, metres
  at::Tensor wp_offsets;  // [batch, waypoints, 2], float32, metres per step
  at::Tensor waypoints;   // [batch, waypoints, 2], float32, ego frame, metres
  at::Tensor hidden;      // [batch, tokens, hidden], model dtype; undefined unless asked for
};

enum class HiddenRows : uint8_t { kHeadsOnly, kAll };

// Immutable after Load: any number of threads may call it. Sets no global state of LibTorch.
class ActionModel {
 public:
  // NOT_FOUND naming a missing tensor, INVALID_ARGUMENT for an option.
  static absl::StatusOr<std::unique_ptr<const ActionModel>> Load(const Checkpoint& checkpoint,
                                                                 const Tokenizer& tokenizer,
                                                                 const ActionOptions& options);

  // The same from any source of weights; options.model must be the source's. Throws LibTorch's
  // exceptions. Compute then keeps gradients, of the weights and of the context.
  static absl::StatusOr<std::unique_ptr<const ActionModel>> FromWeights(
      WeightSource& weights, const Tokenizer& tokenizer, const ActionOptions& options);

  // Makes a context ready. On the CPU in the model's dtype it borrows the buffers. INVALID_ARGUMENT
  // naming what does not fit.
  absl::StatusOr<ActionContext> Prepare(const ContextBuffers& buffers) const;

  // One tick for a batch. `uses` covers the batch in order. INVALID_ARGUMENT for a shape.
  absl::StatusOr<ActionOutput> Plan(const ActionInputs& inputs, absl::Span<const ContextUse> uses,
                                    HiddenRows hidden = HiddenRows::kHeadsOnly) const;

  // As Plan, with inputs of the right shape and its results left on the model's device: waits for
  // nothing, so a CUDA graph can capture it. Throws LibTorch's exceptions.
  ActionOutput Compute(const ActionInputs& inputs, absl::Span<const ContextUse> uses,
                       HiddenRows hidden) const;

  // The decision alone: runs observation and decision rows only, which is exact because no row
  // attends to a later block (semantics 7).
  absl::StatusOr<DecisionHead::Result> Decide(const ActionInputs& inputs,
                                              absl::Span<const ContextUse> uses) const;

  // Positions of the action tokens of a use: first one; all axes are equal (spec 3.5).
  int64_t FirstPosition(const ContextUse& use) const {
    return use.context->position_start + use.reuse * geometry_.action.tokens();
  }

  // Rotary rows of the action tokens of a use.
  RotaryTable RotaryOf(const ContextUse& use) const {
    return expert_.Tables(use, geometry_.action.tokens());
  }

  const ModelGeometry& geometry() const { return geometry_; }
  const ActionOptions& options() const { return options_; }
  const Lexicon& lexicon() const { return lexicon_; }
  // True where decisions are taken from the lexicon alone.
  bool uses_lexicon() const {
    return lexicon_.usable() && options_.decision_logits == DecisionLogits::kLexicon;
  }

 private:
  ActionModel(const ModelGeometry& geometry, const ActionOptions& options, Lexicon lexicon,
              ActionEncoder encoder, ActionExpert expert, PointHead route, PointHead waypoints,
              DecisionHead decision);
  absl::Status CheckInputs(const ActionInputs& inputs, absl::Span<const ContextUse> uses) const;
  absl::Status CheckUses(int64_t batch, absl::Span<const ContextUse> uses) const;

  ModelGeometry geometry_;
  ActionOptions options_;
  Lexicon lexicon_;
  ActionEncoder encoder_;
  ActionExpert expert_;
  PointHead route_head_, waypoint_head_;
  DecisionHead decision_head_;
};

}  // namespace automot::model
