#include "common/model/heads.h"

#include "common/checkpoint/layout.h"

namespace automot::model {
namespace {

// `[batch, rows, hidden]` -> `[batch * rows, hidden]`. Given a strided batch, at::linear without
// bias takes a path that copies the transposed weight: 0.8 GB for the published vocabulary.
at::Tensor AsMatrix(const at::Tensor& hidden) { return hidden.flatten(0, 1); }

}  // namespace

absl::StatusOr<PointHead> PointHead::Load(WeightSource& reader, const std::string& prefix) {
  PointHead head;
  head.weights_ = {reader.Get(prefix + "mlp.0.weight"), reader.Get(prefix + "mlp.2.weight"),
                   reader.Get(prefix + "mlp.4.weight")};
  head.biases_ = {reader.Get(prefix + "mlp.0.bias"), reader.Get(prefix + "mlp.2.bias")};
  if (!reader.ok()) return reader.status();
  return head;
}

at::Tensor PointHead::Run(const at::Tensor& hidden) const {
  at::Tensor x = at::linear(AsMatrix(hidden), weights_[0], biases_[0]);
  x = at::linear(at::silu_(x), weights_[1], biases_[1]);
  x = at::linear(at::silu_(x), weights_[2]).to(at::kFloat);
  return x.unflatten(0, {hidden.size(0), hidden.size(1)});
}

at::Tensor RoutePoints(const at::Tensor& raw) { return raw.cumsum(-1); }

at::Tensor WaypointPositions(const at::Tensor& offsets) { return offsets.cumsum(-2); }

absl::StatusOr<FutureSpeedHead> FutureSpeedHead::Load(WeightSource& reader) {
  FutureSpeedHead head;
  head.weights_ = {reader.Get("velocity_head.0.weight"), reader.Get("velocity_head.2.weight")};
  head.biases_ = {reader.Get("velocity_head.0.bias"), reader.Get("velocity_head.2.bias")};
  if (!reader.ok()) return reader.status();
  return head;
}

at::Tensor FutureSpeedHead::Run(const at::Tensor& hidden) const {
  const at::Tensor x = at::leaky_relu(at::linear(hidden, weights_[0], biases_[0]), 0.1);
  return at::linear(x, weights_[1], biases_[1]).to(at::kFloat);
}

absl::StatusOr<DecisionHead> DecisionHead::Load(WeightSource& reader,
                                                const std::vector<int64_t>& lexicon_ids) {
  DecisionHead head;
  const std::string name = reader.geometry().text.tied ? kEmbeddingName : kLmHeadName;
  if (lexicon_ids.empty()) {
    head.weight_ = reader.Get(name);
  } else {
    head.weight_ = reader.GetRows(name, lexicon_ids);
    head.ids_ = at::tensor(lexicon_ids, at::kLong).to(reader.options().device);
  }
  if (!reader.ok()) return reader.status();
  return head;
}

DecisionHead::Result DecisionHead::Run(const at::Tensor& hidden) const {
  Result result;
  result.logits = at::linear(AsMatrix(hidden), weight_)
                      .to(at::kFloat)
                      .unflatten(0, {hidden.size(0), hidden.size(1)});
  auto [probability, index] = at::softmax(result.logits, -1).max(-1);
  result.probabilities = probability;
  result.ids = ids_.defined() ? ids_.index_select(0, index.flatten()).view(index.sizes()) : index;
  return result;
}

}  // namespace automot::model
