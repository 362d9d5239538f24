#include "common/model/action_encoder.h"

#include <vector>

#include "absl/strings/str_cat.h"

namespace automot::model {
namespace {

at::Tensor Activate(Activation activation, const at::Tensor& x) {
  switch (activation) {
    case Activation::kGeluTanh:
      return at::gelu(x, "tanh");
    case Activation::kGelu:
      return at::gelu(x);
    case Activation::kSilu:
      return at::silu(x);
    case Activation::kRelu:
      return at::relu(x);
  }
  return x;
}

}  // namespace

absl::StatusOr<ActionEncoder> ActionEncoder::Load(WeightSource& reader, bool decision_only) {
  ActionEncoder encoder;
  encoder.options_ = reader.options();
  encoder.bev_projection_ = {reader.Get("bev_encoder_proj.weight"),
                             reader.Get("bev_encoder_proj.bias")};
  encoder.target_point_ = LoadMlp(reader, "target_point_encoder.mlp.");
  encoder.speed_ = LoadMlp(reader, "velocity_encoder.");
  std::vector<at::Tensor> queries = {LoadQueries(reader, "reasoning")};
  if (!decision_only) {
    queries.push_back(LoadQueries(reader, "route"));
    queries.push_back(LoadQueries(reader, "waypoint"));
  }
  if (!reader.ok()) return reader.status();
  encoder.queries_ = at::cat(queries);
  return encoder;
}

ActionEncoder::Mlp ActionEncoder::LoadMlp(WeightSource& reader, const std::string& prefix) {
  Mlp mlp;
  for (size_t i = 0; i < mlp.size(); ++i) {
    const std::string layer = absl::StrCat(prefix, 2 * i, ".");
    mlp[i] = {reader.Get(layer + "weight"), reader.Get(layer + "bias")};
  }
  return mlp;
}

at::Tensor ActionEncoder::LoadQueries(WeightSource& reader, const std::string& group) {
  const at::Tensor queries = reader.Get(group + "_queries.weight");
  const Linear fc1{reader.Get(group + "_projector.fc1.weight"),
                   reader.Get(group + "_projector.fc1.bias")};
  const Linear fc2{reader.Get(group + "_projector.fc2.weight"),
                   reader.Get(group + "_projector.fc2.bias")};
  if (!reader.ok()) return {};
  const at::Tensor wide =
      Activate(reader.geometry().action.connector_act, at::linear(queries, fc1.weight, fc1.bias));
  return at::linear(wide, fc2.weight, fc2.bias);
}

at::Tensor ActionEncoder::RunMlp(const Mlp& mlp, const at::Tensor& x) {
  const at::Tensor first = at::linear(x, mlp[0].weight, mlp[0].bias).relu_();
  const at::Tensor second = at::linear(first, mlp[1].weight, mlp[1].bias).relu_();
  return at::linear(second, mlp[2].weight, mlp[2].bias);
}

at::Tensor ActionEncoder::Embed(const ActionInputs& inputs, int64_t queries) const {
  const auto place = [&](const at::Tensor& t) { return t.to(options_.device, options_.dtype); };
  const int64_t batch = inputs.speed.size(0);
  const at::Tensor cells = place(inputs.bev_feature).flatten(2).transpose(1, 2);
  return at::cat({at::linear(cells, bev_projection_.weight, bev_projection_.bias),
                  RunMlp(target_point_, place(inputs.target_points)),
                  RunMlp(speed_, place(inputs.speed).view({batch, 1, 1})),
                  queries_.narrow(0, 0, queries).unsqueeze(0).expand({batch, queries, -1})},
                 1);
}

}  // namespace automot::model
