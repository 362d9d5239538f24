// Text decoder of the understanding expert (spec 2.4): prefill that hands out every layer's keys
// and values as soon as they are there, and greedy text generation (spec 2.5).
#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/model/prompt_sequence.h"
#include "common/model/rotary.h"
#include "common/model/transformer_ops.h"
#include "common/model/vision_tower.h"
#include "common/model/weights.h"

namespace automot::model {

// Keys and values of one layer. keys: `[tokens, kv_heads, head_dim]` after norm and rotary; values:
// the same shape, raw; model dtype and device, strided, valid during the call. A status that is not
// OK ends the prefill with it.
using LayerCallback =
    std::function<absl::Status(int64_t layer, const at::Tensor& keys, const at::Tensor& values)>;

// Immutable after Load: any number of threads may run it. Inputs are checked by UnderstandingModel.
class TextDecoder {
 public:
  static absl::StatusOr<std::unique_ptr<TextDecoder>> Load(WeightReader& reader);

  // Embeddings of the sequence with the images' rows put in. `[tokens, hidden]`.
  at::Tensor Embed(const PromptSequence& sequence, absl::Span<const ImageFeature> features) const;

  // Runs the layers over the whole sequence with the mask of its spans. The last layer computes
  // only its keys and values: nothing reads the rest.
  absl::Status Prefill(const PromptSequence& sequence, absl::Span<const ImageFeature> features,
                       const LayerCallback& on_layer) const;

  // Keys and values of a generation in progress; one per generation, not shared.
  struct GenerationState {
    std::vector<at::Tensor> keys, values;  // per layer [capacity, kv_heads, head_dim]
    int64_t tokens = 0;                    // rows in use
    int64_t next_position = 0;
  };
  // Prefills with the plain causal mask, images included, and leaves room for `max_tokens` more.
  // Returns the logits of the last token: `[vocab]`, float32.
  at::Tensor StartGeneration(const PromptSequence& sequence,
                             absl::Span<const ImageFeature> features, int64_t max_tokens,
                             GenerationState* state) const;
  // Feeds one token; returns the logits after it.
  at::Tensor Continue(int64_t token, GenerationState* state) const;

 private:
  struct Layer {
    at::Tensor input_norm, post_norm;  // [hidden]
    at::Tensor qkv, qk_norm;           // [(heads + 2 kv) * dim, hidden], [heads + kv, dim]
    at::Tensor out;                    // [hidden, heads * dim]
    at::Tensor gate_up, down;
  };

  explicit TextDecoder(const TextGeometry& text, const ModelOptions& options)
      : text_(text), options_(options), rotary_(text, options.device) {}
  static Layer LoadLayer(WeightReader& reader, int64_t index);
  // The projections of a layer; q is empty when only keys and values are wanted.
  RotatedHeads Project(const Layer& layer, const at::Tensor& x, const RotaryTable& table,
                       bool with_queries) const;
  void Finish(const Layer& layer, const at::Tensor& attended, at::Tensor& x) const;
  // Adds deepstack features of one tap at the image rows.
  void AddDeepstack(size_t layer, const at::Tensor& image_rows,
                    absl::Span<const ImageFeature> features, at::Tensor& x) const;
  void RunCached(at::Tensor& x, const RotaryTable& table, const at::Tensor& mask,
                 const PromptSequence* sequence, absl::Span<const ImageFeature> features,
                 GenerationState* state) const;
  at::Tensor LastLogits(const at::Tensor& x) const;
  at::Tensor ImageRows(const PromptSequence& sequence) const;
  RotaryTable SequenceTables(const PromptSequence& sequence) const;
  double scale() const;
  int64_t group() const { return text_.heads / text_.kv_heads; }

  TextGeometry text_;
  ModelOptions options_;
  MultiAxisRotary rotary_;
  at::Tensor embedding_, lm_head_, final_norm_;
  std::vector<Layer> layers_;
};

}  // namespace automot::model
