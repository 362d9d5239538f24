#include "common/model/text_decoder.h"

#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/checkpoint/layout.h"
#include "common/model/attention_mask.h"
#include "common/status/status_macros.h"

namespace automot::model {

absl::StatusOr<std::unique_ptr<TextDecoder>> TextDecoder::Load(WeightSource& reader) {
  const TextGeometry& text = reader.geometry().text;
  std::unique_ptr<TextDecoder> decoder(new TextDecoder(reader.geometry(), reader.options()));
  decoder->embedding_ = reader.Get(kEmbeddingName);
  decoder->lm_head_ = text.tied ? decoder->embedding_ : reader.Get(kLmHeadName);
  decoder->final_norm_ = reader.Get("language_model.model.norm.weight");
  at::Tensor qkv;
  for (int64_t i = 0; i < text.layers; ++i) {
    AUTOMOT_ASSIGN_OR_RETURN(Layer layer, LoadLayer(reader, i, &qkv));
    decoder->layers_.push_back(std::move(layer));
  }
  for (Layer& layer : decoder->layers_) {
    // One weight row per head, so that queries and keys are normalised in one go.
    const at::Tensor q = layer.qk_norm.narrow(0, 0, text.head_dim);
    const at::Tensor k = layer.qk_norm.narrow(0, text.head_dim, text.head_dim);
    layer.qk_norm = at::cat({q.unsqueeze(0).expand({text.heads, text.head_dim}),
                             k.unsqueeze(0).expand({text.kv_heads, text.head_dim})});
  }
  decoder->last_full_ = decoder->LastProjection(qkv, ContextForm::kFull);
  decoder->last_compact_ = decoder->LastProjection(qkv, ContextForm::kCompact);
  return decoder;
}

absl::StatusOr<TextDecoder::Layer> TextDecoder::LoadLayer(WeightSource& reader, int64_t index,
                                                          at::Tensor* qkv) {
  const std::string p = absl::StrCat("language_model.model.layers.", index, ".");
  const auto pack = [&reader](const at::Tensor& weight) {
    return reader.ok() ? PackedLinear(weight) : PackedLinear();
  };
  *qkv = reader.GetJoined({p + "self_attn.q_proj.weight", p + "self_attn.k_proj.weight",
                           p + "self_attn.v_proj.weight"});
  Layer layer{
      .input_norm = reader.Get(p + "input_layernorm.weight"),
      .post_norm = reader.Get(p + "post_attention_layernorm.weight"),
      .qk_norm = reader.GetJoined({p + "self_attn.q_norm.weight", p + "self_attn.k_norm.weight"}),
      .qkv = pack(*qkv),
      .out = pack(reader.Get(p + "self_attn.o_proj.weight")),
      .mlp = {pack(reader.Get(p + "mlp.gate_proj.weight")),
              pack(reader.Get(p + "mlp.up_proj.weight")),
              pack(reader.Get(p + "mlp.down_proj.weight"))},
  };
  if (!reader.ok()) return reader.status();
  return layer;
}

TextDecoder::KeyValueProjection TextDecoder::LastProjection(const at::Tensor& qkv,
                                                            ContextForm form) const {
  const ContextDims dims = DimsOf(geometry_, form);
  const Layer& layer = layers_.back();
  const int64_t dim = text_.head_dim;
  const at::Tensor keys_values = qkv.narrow(0, text_.heads * dim, 2 * text_.kv_heads * dim)
                                     .view({2, text_.kv_heads, dim, text_.hidden});
  const at::Tensor norm = layer.qk_norm.narrow(0, text_.heads, dims.kv_heads);
  if (form == ContextForm::kFull) {
    return {PackedLinear(keys_values.view({2 * text_.kv_heads * dim, text_.hidden})), norm, dims};
  }
  const auto rows = [&](int64_t which, int64_t width) {
    return keys_values[which].narrow(0, 0, dims.kv_heads).narrow(1, 0, width).flatten(0, 1);
  };
  return {PackedLinear(at::cat({rows(0, dims.key_dim), rows(1, dims.value_dim)})), norm, dims};
}

double TextDecoder::scale() const { return 1.0 / std::sqrt(static_cast<double>(text_.head_dim)); }

at::Tensor TextDecoder::Index(const std::vector<int64_t>& rows) const {
  return at::tensor(rows, at::kLong).to(options_.device);
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
  at::Tensor x = embedding_.index_select(0, Index(sequence.ids));
  if (features.empty()) return x;
  std::vector<at::Tensor> embeds;
  for (const ImageFeature& feature : features) embeds.push_back(feature.embeds);
  x.index_copy_(0, Index(sequence.image_rows), at::cat(embeds));
  return x;
}

RotatedHeads TextDecoder::Project(const Layer& layer, const at::Tensor& x,
                                  const RotaryTable& table) const {
  const at::Tensor h = RmsNorm(x, layer.input_norm, text_.rms_eps);
  return SplitNormRotate(layer.qkv.Apply(h), {text_.heads, text_.kv_heads, text_.head_dim},
                         layer.qk_norm, text_.rms_eps, table);
}

LayerKeysValues TextDecoder::ProjectLast(ContextForm form, const at::Tensor& x,
                                         const RotaryTable& table) const {
  const KeyValueProjection& last = form == ContextForm::kFull ? last_full_ : last_compact_;
  const at::Tensor projected =
      last.weight.Apply(RmsNorm(x, layers_.back().input_norm, text_.rms_eps));
  const int64_t key_width = last.dims.kv_heads * last.dims.key_dim;
  const int64_t value_width = last.dims.kv_heads * last.dims.value_dim;
  const at::Tensor keys =
      projected.narrow(1, 0, key_width).unflatten(1, {last.dims.kv_heads, last.dims.key_dim});
  return {ApplyRotary(RmsNorm(keys, last.key_norm, text_.rms_eps), table),
          projected.narrow(1, key_width, value_width)
              .unflatten(1, {last.dims.kv_heads, last.dims.value_dim})};
}

at::Tensor TextDecoder::Finish(const Layer& layer, const at::Tensor& attended,
                               const at::Tensor& x) const {
  const at::Tensor sum = layer.out.ApplyPlus(attended, x);
  return AddSwiGlu(sum, RmsNorm(sum, layer.post_norm, text_.rms_eps), layer.mlp);
}

void TextDecoder::AddDeepstack(size_t layer, const at::Tensor& image_rows,
                               absl::Span<const ImageFeature> features, at::Tensor& x) const {
  if (features.empty() || layer >= features[0].deepstack.size()) return;
  std::vector<at::Tensor> taps;
  for (const ImageFeature& feature : features) taps.push_back(feature.deepstack[layer]);
  x.index_add_(0, image_rows, at::cat(taps));
}

at::Tensor TextDecoder::Mask(absl::Span<const AttentionSpan> spans) const {
  return GroupedAdditiveMask(AllowedBySpans(spans), group(), embedding_.options());
}

absl::Status TextDecoder::Prefill(absl::Span<const SequenceInput> batch, ContextForm form,
                                  const BatchLayerCallback& on_layer) const {
  const JointSequence joint = Join(batch);
  at::Tensor x = Embed(joint.all, joint.features);
  const at::Tensor image_rows = Index(joint.all.image_rows);
  const RotaryTable table = SequenceTables(joint.all);
  std::vector<at::Tensor> masks;
  for (const SequenceInput& input : batch) masks.push_back(Mask(input.sequence->spans));
  for (size_t i = 0; i < layers_.size(); ++i) {
    const bool last = i + 1 == layers_.size();
    RotatedHeads heads;
    LayerKeysValues layer = last ? ProjectLast(form, x, table) : LayerKeysValues();
    if (!last) {
      heads = Project(layers_[i], x, table);
      layer = {heads.k, heads.v};
    }
    std::vector<at::Tensor> attended;
    for (size_t item = 0; item < batch.size(); ++item) {
      const auto [begin, rows] = joint.parts[item];
      const at::Tensor keys = layer.keys.narrow(0, begin, rows);
      const at::Tensor values = layer.values.narrow(0, begin, rows);
      AUTOMOT_RETURN_IF_ERROR(on_layer(item, static_cast<int64_t>(i), keys, values));
      if (last) continue;
      attended.push_back(
          GroupedAttention(heads.q.narrow(0, begin, rows), keys, values, masks[item], scale()));
    }
    if (last) break;
    x = Finish(layers_[i], attended.size() == 1 ? attended[0] : at::cat(attended), x);
    AddDeepstack(i, image_rows, joint.features, x);
  }
  return absl::OkStatus();
}

at::Tensor TextDecoder::Score(absl::Span<const SequenceInput> batch,
                              absl::Span<const std::vector<int64_t>> rows) const {
  const JointSequence joint = Join(batch);
  at::Tensor x = Embed(joint.all, joint.features);
  const at::Tensor image_rows = Index(joint.all.image_rows);
  const RotaryTable table = SequenceTables(joint.all);
  std::vector<at::Tensor> masks;
  std::vector<int64_t> wanted;
  for (size_t item = 0; item < batch.size(); ++item) {
    masks.push_back(Mask(batch[item].sequence->spans));
    for (const int64_t row : rows[item]) wanted.push_back(joint.parts[item].begin + row);
  }
  for (size_t i = 0; i < layers_.size(); ++i) {
    const RotatedHeads heads = Project(layers_[i], x, table);
    std::vector<at::Tensor> attended;
    for (size_t item = 0; item < batch.size(); ++item) {
      const auto [begin, count] = joint.parts[item];
      attended.push_back(GroupedAttention(heads.q.narrow(0, begin, count),
                                          heads.k.narrow(0, begin, count),
                                          heads.v.narrow(0, begin, count), masks[item], scale()));
    }
    x = Finish(layers_[i], attended.size() == 1 ? attended[0] : at::cat(attended), x);
    AddDeepstack(i, image_rows, joint.features, x);
  }
  return Logits(x.index_select(0, Index(wanted)));
}

SequenceKeysValues TextDecoder::Reserve(int64_t capacity) const {
  SequenceKeysValues reserved;
  for (int64_t i = 0; i < text_.layers; ++i) {
    for (std::vector<at::Tensor>* side : {&reserved.keys, &reserved.values}) {
      side->push_back(at::empty({capacity, text_.kv_heads, text_.head_dim}, embedding_.options()));
    }
  }
  return reserved;
}

at::Tensor TextDecoder::Logits(const at::Tensor& last_rows) const {
  return at::linear(RmsNorm(last_rows, final_norm_, text_.rms_eps), lm_head_).to(at::kFloat);
}

at::Tensor TextDecoder::Attend(size_t layer, const RotatedHeads& heads, const Continuation& item,
                               const at::Tensor& mask) const {
  const int64_t seen = item.own->tokens, rows = heads.k.size(0);
  item.own->keys[layer].narrow(0, seen, rows).copy_(heads.k);
  item.own->values[layer].narrow(0, seen, rows).copy_(heads.v);
  const KeysAndValues own = {item.own->keys[layer].narrow(0, 0, seen + rows),
                             item.own->values[layer].narrow(0, 0, seen + rows)};
  if (item.scene == nullptr) return GroupedAttention(heads.q, own.k, own.v, mask, scale());
  const KeysAndValues scene = {item.scene->keys[layer].narrow(0, 0, item.scene->tokens),
                               item.scene->values[layer].narrow(0, 0, item.scene->tokens)};
  return GroupedAttention(heads.q, scene, own, mask, scale());
}

at::Tensor TextDecoder::AttendBatch(size_t layer, const RotatedHeads& heads,
                                    absl::Span<const JointSequence::Part> parts,
                                    absl::Span<const Continuation> batch,
                                    absl::Span<const at::Tensor> masks) const {
  const bool last = layer + 1 == layers_.size();
  std::vector<at::Tensor> attended;
  for (size_t item = 0; item < batch.size(); ++item) {
    const auto [begin, rows] = parts[item];
    // Of the last layer only the last row is wanted, and that sees everything.
    const int64_t skipped = last ? rows - 1 : 0;
    attended.push_back(Attend(layer,
                              {heads.q.narrow(0, begin + skipped, rows - skipped),
                               heads.k.narrow(0, begin, rows), heads.v.narrow(0, begin, rows)},
                              batch[item], last ? at::Tensor() : masks[item]));
  }
  return attended.size() == 1 ? attended[0] : at::cat(attended);
}

at::Tensor TextDecoder::Extend(absl::Span<const Continuation> batch) const {
  std::vector<SequenceInput> inputs;
  for (const Continuation& item : batch) inputs.push_back(item.input);
  const JointSequence joint = Join(inputs);
  std::vector<at::Tensor> masks(batch.size());
  std::vector<int64_t> last_rows;
  for (size_t item = 0; item < batch.size(); ++item) {
    const auto [begin, rows] = joint.parts[item];
    last_rows.push_back(begin + rows - 1);
    if (rows == 1) continue;
    masks[item] = GroupedAdditiveMask(AllowedContinuation(batch[item].own->tokens, rows), group(),
                                      embedding_.options());
  }
  at::Tensor x = Embed(joint.all, joint.features);
  const at::Tensor image_rows = Index(joint.all.image_rows);
  const RotaryTable table = SequenceTables(joint.all);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const bool last = i + 1 == layers_.size();
    const at::Tensor attended =
        AttendBatch(i, Project(layers_[i], x, table), joint.parts, batch, masks);
    if (last) x = x.index_select(0, Index(last_rows));
    x = Finish(layers_[i], attended, x);
    if (!last) AddDeepstack(i, image_rows, joint.features, x);
  }
  for (size_t item = 0; item < batch.size(); ++item) {
    batch[item].own->tokens += joint.parts[item].rows;
  }
  return Logits(x);
}

}  // namespace automot::model
