// The understanding expert as services and tools use it: frames in, keys and values per layer out;
// or a question in, text tokens out (spec 2).
#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/checkpoint/checkpoint.h"
#include "common/model/generation.h"
#include "common/model/prompt_sequence.h"
#include "common/model/text_decoder.h"
#include "common/model/vision_tower.h"
#include "common/model/weights.h"

namespace automot::model {

// Immutable after Load: any number of threads may call it. Sets no global state of LibTorch.
class UnderstandingModel {
 public:
  static constexpr int64_t kMaxPatchesPerSide = 512;
  static constexpr int64_t kMaxGeneratedTokens = 8192;

  // NOT_FOUND naming a missing tensor, INVALID_ARGUMENT for an option.
  static absl::StatusOr<std::unique_ptr<const UnderstandingModel>> Load(
      const Checkpoint& checkpoint, const ModelOptions& options);

  // pixel_values: `[images * rows * cols, 3 * temporal * patch * patch]`, float32, CPU, normalised,
  // merge-block order; every image has `rows` x `cols` patches. INVALID_ARGUMENT for a shape.
  absl::StatusOr<std::vector<ImageFeature>> EncodePatches(const at::Tensor& pixel_values,
                                                          int64_t rows, int64_t cols) const;

  // The sequence of prefix, one block per feature, instruction. See BuildSequence.
  absl::StatusOr<PromptSequence> Sequence(absl::Span<const int64_t> prefix_ids,
                                          absl::Span<const ImageFeature> features,
                                          absl::Span<const int64_t> instruction_ids,
                                          InstructionMask mask = InstructionMask::kCausal) const;

  // Runs the decoder and hands out each layer's keys and values as soon as they are computed; the
  // caller's status ends it. INVALID_ARGUMENT where features do not fit the sequence. `form`: what
  // the caller will keep of them (SelectForm).
  absl::Status Prefill(const PromptSequence& sequence, absl::Span<const ImageFeature> features,
                       const LayerCallback& on_layer, ContextForm form = ContextForm::kFull) const;
  // The same for several sequences of any lengths in one run, without padding. Each gets what it
  // would get alone, but for the rounding of the products.
  absl::Status PrefillBatch(absl::Span<const SequenceInput> batch,
                            const BatchLayerCallback& on_layer,
                            ContextForm form = ContextForm::kFull) const;

  // Prefills prefix and images for any number of questions. `between_layers` may be null; it may
  // use the model.
  absl::StatusOr<std::shared_ptr<const Scene>> PrefillScene(
      absl::Span<const int64_t> prefix_ids, absl::Span<const ImageFeature> features,
      const std::function<void()>& between_layers = nullptr) const;

  // Prefills a question after the scene and chooses the first token. INVALID_ARGUMENT for an
  // option or an id.
  absl::StatusOr<std::unique_ptr<Generation>> Begin(std::shared_ptr<const Scene> scene,
                                                    absl::Span<const int64_t> question_ids,
                                                    const GenerateOptions& options) const;
  // One more token for each that has not ended, in one run. Null pointers and repetitions are not
  // allowed. The same scene, question and options give the same text, alone or in a batch, but for
  // the rounding of the products.
  absl::Status Advance(absl::Span<Generation* const> generations) const;

  // Text after a sequence that nothing is shared with, under the plain causal mask (spec 2.5): its
  // keys and values are not the context's.
  absl::StatusOr<GenerateEnd> Generate(const PromptSequence& sequence,
                                       absl::Span<const ImageFeature> features,
                                       const GenerateOptions& options,
                                       const GenerateCallbacks& callbacks) const;
  // Text after a scene's question, token by token.
  absl::StatusOr<GenerateEnd> Generate(std::shared_ptr<const Scene> scene,
                                       absl::Span<const int64_t> question_ids,
                                       const GenerateOptions& options,
                                       const GenerateCallbacks& callbacks) const;

  const ModelGeometry& geometry() const { return geometry_; }
  const ModelOptions& options() const { return options_; }

 private:
  UnderstandingModel(const ModelGeometry& geometry, const ModelOptions& options,
                     std::unique_ptr<VisionTower> vision, std::unique_ptr<TextDecoder> decoder);
  absl::Status CheckFeatures(const PromptSequence& sequence,
                             absl::Span<const ImageFeature> features) const;
  absl::StatusOr<std::unique_ptr<Generation>> BeginAfter(std::shared_ptr<const Scene> scene,
                                                         const SequenceInput& input,
                                                         const GenerateOptions& options) const;
  absl::StatusOr<GenerateEnd> Run(Generation& generation, const GenerateCallbacks& callbacks) const;

  ModelGeometry geometry_;
  ModelOptions options_;
  std::unique_ptr<VisionTower> vision_;
  std::unique_ptr<TextDecoder> decoder_;
};

}  // namespace automot::model
