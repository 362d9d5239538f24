#include "tests/benchmark/action/action_cost.h"

#include <algorithm>
#include <array>

namespace automot::benchmarks {
namespace {

// A probe's layers: at the published sizes four have 360 MB, more than any cache.
constexpr int64_t kProbeLayers = 4;

double Product(int64_t rows, int64_t in, int64_t out) {
  return 2.0 * static_cast<double>(rows) * static_cast<double>(in) * static_cast<double>(out);
}

// Output projection and perceptron.
double AfterAttention(const model::ActionGeometry& a, int64_t rows) {
  return Product(rows, a.heads * a.head_dim, a.hidden) +
         3 * Product(rows, a.hidden, a.intermediate);
}

double Projections(const model::ActionGeometry& a) {
  return Product(a.tokens(), a.hidden, (a.heads + 2 * a.kv_heads) * a.head_dim);
}

// Encoders and point heads.
double Surroundings(const model::ModelGeometry& g) {
  const model::ActionGeometry& a = g.action;
  const auto& [first, second] = a.encoder_widths;
  const auto encoder = [&, first = first, second = second](int64_t rows, int64_t in) {
    return Product(rows, in, first) + Product(rows, first, second) +
           Product(rows, second, a.hidden);
  };
  const int64_t points = a.route_points + a.waypoints;
  return Product(a.bev_tokens, g.bev.feature_channels, a.hidden) + encoder(a.target_points, 2) +
         encoder(1, 1) + Product(points, a.hidden, a.head_widths[0]) +
         Product(points, a.head_widths[0], a.head_widths[1]) + Product(points, a.head_widths[1], 2);
}

}  // namespace

StepFlops CountFlops(const model::ModelGeometry& g, int64_t prefix, int64_t candidates) {
  const model::ActionGeometry& a = g.action;
  const int64_t tokens = a.tokens(), queries = tokens - a.observation_tokens();
  const auto ours_after = [&](int64_t rows) {
    return Product(rows * a.heads, g.text.head_dim + a.head_dim, prefix) +
           Product(rows * a.heads, 2 * a.head_dim, tokens) + AfterAttention(a, rows);
  };
  const double padded = Product(tokens * g.text.heads, 2 * g.text.head_dim, prefix + tokens);
  const auto layers = static_cast<double>(a.layers);
  StepFlops flops;
  flops.ours = Surroundings(g) + layers * Projections(a) + (layers - 1) * ours_after(tokens) +
               ours_after(queries) + Product(a.decision_tokens, a.hidden, candidates);
  flops.eager = Surroundings(g) + layers * (Projections(a) + padded + AfterAttention(a, tokens)) +
                Product(queries, a.query_dim + a.hidden, a.hidden) +
                Product(a.decision_tokens, a.hidden, g.text.vocab);
  return flops;
}

GemmProbe::GemmProbe(const model::ModelGeometry& geometry, at::ScalarType dtype) {
  const model::ActionGeometry& a = geometry.action;
  const int64_t own = a.heads * a.head_dim;
  const std::array<std::array<int64_t, 2>, 5> shapes = {
      {{a.hidden, own + 2 * a.kv_heads * a.head_dim},
       {own, a.hidden},
       {a.hidden, a.intermediate},
       {a.hidden, a.intermediate},
       {a.intermediate, a.hidden}}};
  for (int64_t layer = 0; layer < std::min(a.layers, kProbeLayers); ++layer) {
    for (const auto& [in, out] : shapes) {
      Product product{at::randn({a.tokens(), in}).to(dtype), at::randn({out, in}).to(dtype), {}};
      product.packed = model::PackedLinear(product.weight);
      products_.push_back(std::move(product));
      flops_ += benchmarks::Product(a.tokens(), in, out);
    }
  }
}

void GemmProbe::RunPlain() const {
  for (const Product& product : products_) at::linear(product.rows, product.weight);
}

void GemmProbe::RunPacked() const {
  for (const Product& product : products_) product.packed.Apply(product.rows);
}

}  // namespace automot::benchmarks
