#include "common/model/text_decoder.h"

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/checkpoint/layout.h"
#include "common/model/attention_mask.h"
#include "common/status/status_macros.h"

namespace automot::model {

absl::StatusOr<std::unique_ptr<TextDecoder>> TextDecoder::Load(WeightReader& reader) {
  const TextGeometry& text = reader.geometry().text;
  std::unique_ptr<TextDecoder> decoder(new TextDecoder(text, reader.options()));
  decoder->embedding_ = reader.Get(kEmbeddingName);
  decoder->lm_head_ = text.tied ? decoder->embedding_ : reader.Get(kLmHeadName);
  decoder->final_norm_ = reader.Get("language_model.model.norm.weight");
  for (int64_t i = 0; i < text.layers; ++i) decoder->layers_.push_back(LoadLayer(reader, i));
  if (!reader.ok()) return reader.status();
  for (Layer& layer : decoder->layers_) {
    // One weight row per head, so that queries and keys are normalised in one go.
    const at::Tensor q = layer.qk_norm.narrow(0, 0, text.head_dim);
    const at::Tensor k = layer.qk_norm.narrow(0, text.head_dim, text.head_dim);
    layer.qk_norm = at::cat({q.unsqueeze(0).expand({text.heads, text.head_dim}),
                             k.unsqueeze(0).expand({text.kv_heads, text.head_dim})});
  }
  return decoder;
}

TextDecoder::Layer TextDecoder::LoadLayer(WeightReader& reader, int64_t index) {
  const std::string p = absl::StrCat("language_model.model.layers.", index, ".");
  return {
      .input_norm = reader.Get(p + "input_layernorm.weight"),
      .post_norm = reader.Get(p + "post_attention_layernorm.weight"),
      .qkv = reader.GetJoined({p + "self_attn.q_proj.weight", p + "self_attn.k_proj.weight",
                               p + "self_attn.v_proj.weight"}),
      .qk_norm = reader.GetJoined({p + "self_attn.q_norm.weight", p + "self_attn.k_norm.weight"}),
      .out = reader.Get(p + "self_attn.o_proj.weight"),
      .gate_up = reader.GetJoined({p + "mlp.gate_proj.weight", p + "mlp.up_proj.weight"}),
      .down = reader.Get(p + "mlp.down_proj.weight"),
  };
}

double TextDecoder::scale() const { return 1.0 / std::sqrt(static_cast<double>(text_.head_dim)); }

at::Tensor TextDecoder::ImageRows(const PromptSequence& sequence) const {
  return at::tensor(sequence.image_rows, at::kLong).to(options_.device);
}

RotaryTable TextDecoder::SequenceTables(const PromptSequence& sequence) const {
  std::vector<at::Tensor> axes;
  for (const std::vector<int64_t>& axis : sequence.positions) {
    axes.push_back(at::tensor(axis, at::kLong));
  }
  return rotary_.Tables(at::stack(axes), options_.dtype);
}

at::Tensor TextDecoder::Embed(const PromptSequence& sequence,
                              absl::Span<const ImageFeature> features) const {
  const at::Tensor ids = at::tensor(sequence.ids, at::kLong).to(options_.device);
  at::Tensor x = embedding_.index_select(0, ids);
  if (features.empty()) return x;
  std::vector<at::Tensor> embeds;
  for (const ImageFeature& feature : features) embeds.push_back(feature.embeds);
  x.index_copy_(0, ImageRows(sequence), at::cat(embeds));
  return x;
}

RotatedHeads TextDecoder::Project(const Layer& layer, const at::Tensor& x, const RotaryTable& table,
                                  bool with_queries) const {
  const at::Tensor h = RmsNorm(x, layer.input_norm, text_.rms_eps);
  if (with_queries) {
    return SplitNormRotate(at::linear(h, layer.qkv), {text_.heads, text_.kv_heads, text_.head_dim},
                           layer.qk_norm, text_.rms_eps, table);
  }
  const int64_t query_rows = text_.heads * text_.head_dim;
  const at::Tensor kv_weight = layer.qkv.narrow(0, query_rows, layer.qkv.size(0) - query_rows);
  return SplitNormRotate(at::linear(h, kv_weight), {0, text_.kv_heads, text_.head_dim},
                         layer.qk_norm.narrow(0, text_.heads, text_.kv_heads), text_.rms_eps,
                         table);
}

void TextDecoder::Finish(const Layer& layer, const at::Tensor& attended, at::Tensor& x) const {
  x.addmm_(attended, layer.out.t());
  AddSwiGlu(x, RmsNorm(x, layer.post_norm, text_.rms_eps), layer.gate_up, layer.down);
}

void TextDecoder::AddDeepstack(size_t layer, const at::Tensor& image_rows,
                               absl::Span<const ImageFeature> features, at::Tensor& x) const {
  if (features.empty() || layer >= features[0].deepstack.size()) return;
  std::vector<at::Tensor> taps;
  for (const ImageFeature& feature : features) taps.push_back(feature.deepstack[layer]);
  x.index_add_(0, image_rows, at::cat(taps));
}

absl::Status TextDecoder::Prefill(const PromptSequence& sequence,
                                  absl::Span<const ImageFeature> features,
                                  const LayerCallback& on_layer) const {
  at::Tensor x = Embed(sequence, features);
  const at::Tensor mask = GroupedAdditiveMask(AllowedBySpans(sequence.spans), group(), x.options());
  const at::Tensor image_rows = ImageRows(sequence);
  const RotaryTable table = SequenceTables(sequence);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const bool last = i + 1 == layers_.size();
    const RotatedHeads heads = Project(layers_[i], x, table, !last);
    AUTOMOT_RETURN_IF_ERROR(on_layer(static_cast<int64_t>(i), heads.k, heads.v));
    if (last) break;
    Finish(layers_[i], GroupedAttention(heads.q, heads.k, heads.v, mask, scale()), x);
    AddDeepstack(i, image_rows, features, x);
  }
  return absl::OkStatus();
}

at::Tensor TextDecoder::LastLogits(const at::Tensor& x) const {
  const at::Tensor last = x.narrow(0, x.size(0) - 1, 1);
  return at::linear(RmsNorm(last, final_norm_, text_.rms_eps), lm_head_).squeeze(0).to(at::kFloat);
}

void TextDecoder::RunCached(at::Tensor& x, const RotaryTable& table, const at::Tensor& mask,
                            const PromptSequence* sequence, absl::Span<const ImageFeature> features,
                            GenerationState* state) const {
  const int64_t added = x.size(0), total = state->tokens + added;
  const at::Tensor image_rows = sequence != nullptr ? ImageRows(*sequence) : at::Tensor();
  for (size_t i = 0; i < layers_.size(); ++i) {
    const RotatedHeads heads = Project(layers_[i], x, table, /*with_queries=*/true);
    state->keys[i].narrow(0, state->tokens, added).copy_(heads.k);
    state->values[i].narrow(0, state->tokens, added).copy_(heads.v);
    Finish(layers_[i],
           GroupedAttention(heads.q, state->keys[i].narrow(0, 0, total),
                            state->values[i].narrow(0, 0, total), mask, scale()),
           x);
    AddDeepstack(i, image_rows, features, x);
  }
  state->tokens = total;
}

at::Tensor TextDecoder::StartGeneration(const PromptSequence& sequence,
                                        absl::Span<const ImageFeature> features, int64_t max_tokens,
                                        GenerationState* state) const {
  *state = {};
  at::Tensor x = Embed(sequence, features);
  const std::vector<int64_t> shape = {sequence.tokens() + max_tokens, text_.kv_heads,
                                      text_.head_dim};
  for (int64_t i = 0; i < text_.layers; ++i) {
    state->keys.push_back(at::empty(shape, x.options()));
    state->values.push_back(at::empty(shape, x.options()));
  }
  const AttentionSpan causal{sequence.tokens(), SpanMode::kCausal};
  const at::Tensor mask = GroupedAdditiveMask(AllowedBySpans({&causal, 1}), group(), x.options());
  RunCached(x, SequenceTables(sequence), mask, &sequence, features, state);
  state->next_position = sequence.next_position;
  return LastLogits(x);
}

at::Tensor TextDecoder::Continue(int64_t token, GenerationState* state) const {
  at::Tensor x = embedding_.narrow(0, token, 1).clone();
  const RotaryTable table = rotary_.TextTables(state->next_position++, 1, options_.dtype);
  RunCached(x, table, /*mask=*/{}, /*sequence=*/nullptr, {}, state);
  return LastLogits(x);
}

}  // namespace automot::model
