// From the action expert's hidden rows to route, waypoints and decision tokens (spec 5.1).
#pragma once

#include <ATen/ATen.h>

#include <array>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/weights.h"

namespace automot::model {

// Three-layer SiLU perceptron that ends in two numbers per row.
class PointHead {
 public:
  static absl::StatusOr<PointHead> Load(WeightSource& reader, const std::string& prefix);
  // `[batch, rows, hidden]` -> `[batch, rows, 2]`, float32.
  at::Tensor Run(const at::Tensor& hidden) const;

 private:
  std::array<at::Tensor, 3> weights_;
  std::array<at::Tensor, 2> biases_;
};

// Running sum over (x, y), not over the points: (a, b) -> (a, a + b). The published head sums this
// axis in training and inference (spec fact 0.4).
at::Tensor RoutePoints(const at::Tensor& raw);
// Running sum over time of per-step offsets.
at::Tensor WaypointPositions(const at::Tensor& offsets);

// Speeds in 1, 2 and 3 s from the speed token's row: a training loss only (spec 5.1, 7), never
// served. Linear, LeakyReLU 0.1, Linear.
class FutureSpeedHead {
 public:
  static absl::StatusOr<FutureSpeedHead> Load(WeightSource& reader);
  // `[batch, hidden]` -> `[batch, future speeds]`, float32, metres per second.
  at::Tensor Run(const at::Tensor& hidden) const;

 private:
  std::array<at::Tensor, 2> weights_, biases_;
};

// Decision tokens from the tied language-model head, over the whole vocabulary or over a lexicon.
class DecisionHead {
 public:
  // Keeps the rows of `lexicon_ids` only; all rows where it is empty.
  static absl::StatusOr<DecisionHead> Load(WeightSource& reader,
                                           const std::vector<int64_t>& lexicon_ids);

  struct Result {
    at::Tensor logits;         // [batch, tokens, candidates], float32
    at::Tensor ids;            // [batch, tokens], int64: the most likely candidate
    at::Tensor probabilities;  // [batch, tokens], float32: its softmax over the candidates
  };
  Result Run(const at::Tensor& hidden) const;

 private:
  at::Tensor weight_;  // [candidates, hidden]
  at::Tensor ids_;     // [candidates], int64; undefined for the whole vocabulary
};

}  // namespace automot::model
