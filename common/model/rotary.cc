#include "common/model/rotary.h"

#include <vector>

namespace automot::model {
namespace {

// theta^(-2j/dim) for j in [0, dim / 2), float32.
at::Tensor InverseFrequency(double theta, int64_t dim) {
  const at::Tensor exponent = at::arange(0, dim, 2, at::kFloat) / static_cast<double>(dim);
  return at::pow(theta, exponent).reciprocal();
}

}  // namespace

RotaryTable MakeRotaryTable(const at::Tensor& angles, at::ScalarType dtype) {
  const at::Tensor cos = at::cos(angles);
  const at::Tensor sin = at::sin(angles);
  return {at::cat({cos, cos}, -1).unsqueeze(1).to(dtype),
          at::cat({-sin, sin}, -1).unsqueeze(1).to(dtype)};
}

at::Tensor ApplyRotary(const at::Tensor& x, const RotaryTable& table) {
  at::Tensor turned = at::roll(x, {x.size(-1) / 2}, {-1});
  return at::mul(x, table.cos).add_(turned.mul_(table.signed_sin));
}

MultiAxisRotary::MultiAxisRotary(const TextGeometry& text, at::Device device) {
  const int64_t half = text.head_dim / 2;
  std::vector<int64_t> axis(static_cast<size_t>(half), 0);
  for (int64_t j = 0; j < half; ++j) {
    const int64_t residue = j % 3;
    if (residue != 0 && j < 3 * text.mrope_section[static_cast<size_t>(residue)]) {
      axis[static_cast<size_t>(j)] = residue;
    }
  }
  axis_ = at::tensor(axis, at::kLong).to(device);
  inverse_frequency_ = InverseFrequency(text.rope_theta, text.head_dim).to(device);
}

RotaryTable MultiAxisRotary::Tables(const at::Tensor& positions, at::ScalarType dtype) const {
  const at::Tensor by_token = positions.to(axis_.device()).to(at::kFloat).t();
  return MakeRotaryTable(by_token.index_select(1, axis_).mul_(inverse_frequency_), dtype);
}

RotaryTable MultiAxisRotary::TextTables(int64_t first, int64_t count, at::ScalarType dtype) const {
  const at::Tensor positions =
      at::arange(first, first + count, inverse_frequency_.options().dtype(at::kFloat));
  return MakeRotaryTable(positions.unsqueeze(1) * inverse_frequency_, dtype);
}

at::Tensor ToMergeBlocks(const at::Tensor& grid, int64_t merge) {
  const int64_t rows = grid.size(0), cols = grid.size(1);
  return grid.unflatten(1, {cols / merge, merge})
      .unflatten(0, {rows / merge, merge})
      .transpose(1, 2)
      .flatten(0, 3);
}

at::Tensor VisionAngles(const VisionGeometry& vision, int64_t rows, int64_t cols,
                        at::Device device) {
  const at::Tensor frequency = InverseFrequency(10000.0, vision.head_dim() / 2);
  const at::Tensor row = at::arange(rows, at::kFloat).unsqueeze(1) * frequency;
  const at::Tensor col = at::arange(cols, at::kFloat).unsqueeze(1) * frequency;
  const int64_t width = frequency.size(0);
  const at::Tensor grid = at::cat(
      {row.unsqueeze(1).expand({rows, cols, width}), col.unsqueeze(0).expand({rows, cols, width})},
      -1);
  return ToMergeBlocks(grid, vision.merge).to(device);
}

}  // namespace automot::model
