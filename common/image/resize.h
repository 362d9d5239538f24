// Pillow's LANCZOS and BICUBIC resampling, bit for bit (spec 2.2): weights in 22-bit fixed point,
// horizontal pass, rounding to 8 bits, vertical pass. A pass whose axis keeps its length is
// skipped.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/types/observation.h"

namespace automot::image {

enum class ResizeFilter { kBicubic, kLanczos };

struct ImageSize {
  int width = 0;
  int height = 0;
  friend bool operator==(const ImageSize&, const ImageSize&) = default;
};

inline constexpr int kMaxResizeSide = 16384;  // pixels, of source and target

// Weights of one axis: output i is the weighted sum of inputs first[i] .. first[i] + count[i] - 1.
struct ResampleTable {
  int taps = 0;                  // stride of `weights`, the largest count
  std::vector<int32_t> first;    // [outputs]
  std::vector<int32_t> count;    // [outputs]
  std::vector<int32_t> weights;  // [outputs, taps], scaled by 2^22, zero beyond count
};

// Resamples pictures of one size to another, reusing tables and scratch memory. A picture of
// another size than the last one rebuilds the tables. Not thread-safe: one per thread.
class Resizer {
 public:
  Resizer(ImageSize target, ResizeFilter filter) : target_(target), filter_(filter) {}

  // Fills `target`, reusing its memory. INVALID_ARGUMENT: broken image, or a side outside
  // 1..kMaxResizeSide. `source` and `target` must differ.
  absl::Status Resize(const RgbImage& source, RgbImage& target);

  ImageSize target() const { return target_; }

 private:
  absl::Status Prepare(ImageSize source);

  ImageSize target_;
  ResizeFilter filter_;
  ImageSize source_;
  ResampleTable columns_;         // for the horizontal pass
  ResampleTable rows_;            // for the vertical pass
  std::vector<uint8_t> between_;  // rows needed by the vertical pass, [rows, target width, 3]
  std::vector<int32_t> sums_;     // one output row, or one padded input row
};

// One-off form.
absl::StatusOr<RgbImage> ResizeImage(const RgbImage& source, ImageSize target, ResizeFilter filter);

}  // namespace automot::image
