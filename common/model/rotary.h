// Rotary position tables: interleaved M-RoPE of the text decoder and the action expert (spec 2.4),
// and the 2-D table of the vision tower (spec 2.3).
#pragma once

#include <ATen/ATen.h>

#include "common/checkpoint/geometry.h"

namespace automot::model {

// cos, sin: `[tokens, 1, width]`; the second axis broadcasts over heads. The first half of
// signed_sin is negated: ApplyRotary then needs no copy of the rotated halves.
struct RotaryTable {
  at::Tensor cos;
  at::Tensor signed_sin;

  int64_t width() const { return cos.size(-1); }
  // Rows [begin, begin + count), sharing memory.
  RotaryTable Rows(int64_t begin, int64_t count) const {
    return {cos.narrow(0, begin, count), signed_sin.narrow(0, begin, count)};
  }
};

// angles: `[tokens, width / 2]`, radians, float32. Angles are duplicated to both halves; cosine and
// sine are taken in float32, then rounded to `dtype`.
RotaryTable MakeRotaryTable(const at::Tensor& angles, at::ScalarType dtype);

// x: `[tokens, heads, width]`. Rotates the pairs (i, i + width / 2).
at::Tensor ApplyRotary(const at::Tensor& x, const RotaryTable& table);

// Interleaved M-RoPE. Immutable, any thread.
class MultiAxisRotary {
 public:
  MultiAxisRotary(const TextGeometry& text, at::Device device);

  // positions: `[3 (t, h, w), tokens]`, int64, any device.
  RotaryTable Tables(const at::Tensor& positions, at::ScalarType dtype) const;
  // The same position on all three axes: first, first + 1, ...
  RotaryTable TextTables(int64_t first, int64_t count, at::ScalarType dtype) const;

 private:
  at::Tensor inverse_frequency_;  // [head_dim / 2], float32
  at::Tensor axis_;               // [head_dim / 2], int64: which of t, h, w turns the frequency
};

// Angles of the vision tower for one image: `[rows * cols, head_dim / 2]`, float32, row frequencies
// then column frequencies, patches in merge-block order.
at::Tensor VisionAngles(const VisionGeometry& vision, int64_t rows, int64_t cols,
                        at::Device device);

// Reorders the first axes of `[rows, cols, ...]` to merge-block order (h/2, w/2, 2, 2) and joins
// them.
at::Tensor ToMergeBlocks(const at::Tensor& grid, int64_t merge);

}  // namespace automot::model
