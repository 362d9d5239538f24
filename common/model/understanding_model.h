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
#include "common/model/prompt_sequence.h"
#include "common/model/text_decoder.h"
#include "common/model/vision_tower.h"
#include "common/model/weights.h"

namespace automot::model {

struct GenerateOptions {
  int64_t max_tokens = 64;
};

enum class GenerateEnd : uint8_t {
  kEndOfText,  // the model wrote im_end
  kLength,     // max_tokens were written
  kCancelled,  // a callback said so
};

struct GenerateCallbacks {
  std::function<bool(int64_t id)> on_token;  // false ends the generation; im_end is not reported
  std::function<bool()> before_token = nullptr;  // called between tokens; may wait; false ends it
};

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
  // caller's status ends it. INVALID_ARGUMENT where features do not fit the sequence.
  absl::Status Prefill(const PromptSequence& sequence, absl::Span<const ImageFeature> features,
                       const LayerCallback& on_layer) const;

  // Greedy text after a sequence, under the plain causal mask (spec 2.5): a prefill of its own,
  // whose keys and values are not the context's.
  absl::StatusOr<GenerateEnd> Generate(const PromptSequence& sequence,
                                       absl::Span<const ImageFeature> features,
                                       const GenerateOptions& options,
                                       const GenerateCallbacks& callbacks) const;

  const ModelGeometry& geometry() const { return geometry_; }
  const ModelOptions& options() const { return options_; }

 private:
  UnderstandingModel(const ModelGeometry& geometry, const ModelOptions& options,
                     std::unique_ptr<VisionTower> vision, std::unique_ptr<TextDecoder> decoder);
  absl::Status CheckFeatures(const PromptSequence& sequence,
                             absl::Span<const ImageFeature> features) const;

  ModelGeometry geometry_;
  ModelOptions options_;
  std::unique_ptr<VisionTower> vision_;
  std::unique_ptr<TextDecoder> decoder_;
};

}  // namespace automot::model
