// Text decoder of the understanding expert (spec 2.4): prefill that hands out every layer's keys
// and values as soon as they are there, and what text generation needs of it (spec 2.5). Both take
// several sequences at once, without padding.
#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/model/context_export.h"
#include "common/model/joint_sequence.h"
#include "common/model/rotary.h"
#include "common/model/transformer_ops.h"
#include "common/model/weights.h"

namespace automot::model {

// Keys and values of one layer of one sequence. keys: `[tokens, kv_heads, head_dim]` after norm and
// rotary; values: the same shape, raw; model dtype and device, strided, valid during the call. The
// last layer's hold what the wanted form keeps and may hold no more. A status that is not OK ends
// the prefill with it.
using LayerCallback =
    std::function<absl::Status(int64_t layer, const at::Tensor& keys, const at::Tensor& values)>;
using BatchLayerCallback = std::function<absl::Status(
    size_t item, int64_t layer, const at::Tensor& keys, const at::Tensor& values)>;

// Keys and values of every layer for consecutive tokens of one sequence.
struct SequenceKeysValues {
  std::vector<at::Tensor> keys, values;  // per layer [capacity, kv_heads, head_dim]
  int64_t tokens = 0;                    // rows in use
};

// A sequence that continues another.
struct Continuation {
  SequenceInput input;
  const SequenceKeysValues* scene = nullptr;  // seen in full, may be shared; null: none
  SequenceKeysValues* own = nullptr;          // grows by the input, which sees it causally
};

// Immutable after Load: any number of threads may run it. Inputs are checked by UnderstandingModel.
class TextDecoder {
 public:
  static absl::StatusOr<std::unique_ptr<TextDecoder>> Load(WeightSource& reader);

  // Embeddings of the sequence with the images' rows put in. `[tokens, hidden]`.
  at::Tensor Embed(const PromptSequence& sequence, absl::Span<const ImageFeature> features) const;

  // Runs the layers over whole sequences, each with the mask of its spans. The last layer computes
  // only keys and values, and of those only what `form` keeps: nothing reads the rest.
  absl::Status Prefill(absl::Span<const SequenceInput> batch, ContextForm form,
                       const BatchLayerCallback& on_layer) const;

  // Logits after the given rows of each sequence, which runs under the mask of its spans:
  // `[rows of all, vocab]`, float32. What training compares with the tokens that follow; keeps
  // gradients. rows: one list per sequence.
  at::Tensor Score(absl::Span<const SequenceInput> batch,
                   absl::Span<const std::vector<int64_t>> rows) const;

  // Empty, with room for `capacity` tokens.
  SequenceKeysValues Reserve(int64_t capacity) const;
  // Runs the layers over the inputs of all items, under the plain causal mask, images included.
  // Returns the logits after the last token of each: `[batch, vocab]`, float32. Beyond the last
  // layer's keys and values only those tokens are computed.
  at::Tensor Extend(absl::Span<const Continuation> batch) const;

 private:
  struct Layer {
    at::Tensor input_norm, post_norm;  // [hidden]
    at::Tensor qk_norm;                // [heads + kv, dim]
    PackedLinear qkv;                  // hidden -> (heads + 2 kv) * dim
    PackedLinear out;                  // heads * dim -> hidden
    SwiGlu mlp;
  };

  // The keys' and values' part of a layer's projection.
  struct KeyValueProjection {
    PackedLinear weight;  // hidden -> kv_heads * (key_dim + value_dim)
    at::Tensor key_norm;  // [kv_heads, key_dim]
    ContextDims dims;
  };

  TextDecoder(const ModelGeometry& geometry, const ModelOptions& options)
      : geometry_(geometry),
        text_(geometry.text),
        options_(options),
        rotary_(text_, options.device) {}
  // qkv: the joined projection of the layer as it was loaded.
  static absl::StatusOr<Layer> LoadLayer(WeightSource& reader, int64_t index, at::Tensor* qkv);
  // qkv: of the last layer.
  KeyValueProjection LastProjection(const at::Tensor& qkv, ContextForm form) const;

  RotatedHeads Project(const Layer& layer, const at::Tensor& x, const RotaryTable& table) const;
  LayerKeysValues ProjectLast(ContextForm form, const at::Tensor& x,
                              const RotaryTable& table) const;
  at::Tensor Finish(const Layer& layer, const at::Tensor& attended, const at::Tensor& x) const;
  // Adds deepstack features of one tap at the image rows.
  void AddDeepstack(size_t layer, const at::Tensor& image_rows,
                    absl::Span<const ImageFeature> features, at::Tensor& x) const;
  // Appends one item's keys and values to its own and attends. mask: of its own keys, additive.
  at::Tensor Attend(size_t layer, const RotatedHeads& heads, const Continuation& item,
                    const at::Tensor& mask) const;
  at::Tensor AttendBatch(size_t layer, const RotatedHeads& heads,
                         absl::Span<const JointSequence::Part> parts,
                         absl::Span<const Continuation> batch,
                         absl::Span<const at::Tensor> masks) const;
  at::Tensor Mask(absl::Span<const AttentionSpan> spans) const;
  at::Tensor Logits(const at::Tensor& last_rows) const;
  at::Tensor Index(const std::vector<int64_t>& rows) const;
  RotaryTable SequenceTables(const PromptSequence& sequence) const;
  double scale() const;
  int64_t group() const { return text_.heads / text_.kv_heads; }

  ModelGeometry geometry_;
  TextGeometry text_;
  ModelOptions options_;
  MultiAxisRotary rotary_;
  at::Tensor embedding_, lm_head_, final_norm_;
  std::vector<Layer> layers_;
  KeyValueProjection last_full_, last_compact_;  // of the last layer
};

}  // namespace automot::model
