// Embeddings of the action expert's tokens: BEV grid, target points, speed, and the constant
// queries (spec 3.2).
#pragma once

#include <ATen/ATen.h>

#include <array>
#include <string>

#include "absl/status/statusor.h"
#include "common/model/weights.h"

namespace automot::model {

// One or more observations, batch first. Any float dtype and device; rounded to the model's dtype
// before the first projection (spec 2.4).
struct ActionInputs {
  at::Tensor bev_feature;    // [batch, channels, rows, cols]
  at::Tensor target_points;  // [batch, 2 (current, next), 2 (x, y)], ego frame, metres
  at::Tensor speed;          // [batch], metres per second
};

// Immutable after Load, any thread.
class ActionEncoder {
 public:
  // decision_only: without the route and waypoint queries; Embed then takes no more than the
  // decision's.
  static absl::StatusOr<ActionEncoder> Load(WeightSource& reader, bool decision_only = false);

  // `[batch, observation tokens + queries, hidden]`: the first `queries` of decision, route,
  // waypoint.
  at::Tensor Embed(const ActionInputs& inputs, int64_t queries) const;

 private:
  struct Linear {
    at::Tensor weight, bias;
  };
  using Mlp = std::array<Linear, 3>;

  static Mlp LoadMlp(WeightSource& reader, const std::string& prefix);
  static at::Tensor RunMlp(const Mlp& mlp, const at::Tensor& x);
  static at::Tensor LoadQueries(WeightSource& reader, const std::string& group);

  ModelOptions options_;
  Linear bev_projection_;
  Mlp target_point_, speed_;
  at::Tensor queries_;  // [decision + route + waypoint, hidden], projected once
};

}  // namespace automot::model
