// From resized frames to the vision tower's input rows (spec 2.2).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/image/resize.h"
#include "common/types/observation.h"

namespace automot::image {

// Qwen's size rule: both sides a multiple of `factor` (patch x merge), the number of pixels within
// the limits, the aspect ratio nearly kept.
struct SmartResizeRule {
  int factor = 32;
  int64_t min_pixels = 65536;
  int64_t max_pixels = 16777216;
};

// INVALID_ARGUMENT: a side below 1, an aspect ratio above 200, or a rule without sense.
absl::StatusOr<ImageSize> SmartResize(ImageSize size, const SmartResizeRule& rule = {});

struct PatchOptions {
  int patch = 16;
  int temporal_patch = 2;  // the frame is repeated this often
  int merge = 2;
  double rescale_factor = 1.0 / 255.0;
  std::array<double, 3> mean = {0.5, 0.5, 0.5};
  std::array<double, 3> std = {0.5, 0.5, 0.5};
};

// Patches of one image: grid_thw.
struct PatchGrid {
  int64_t t = 1;
  int64_t h = 0;
  int64_t w = 0;
  int64_t patches() const { return t * h * w; }
  friend bool operator==(const PatchGrid&, const PatchGrid&) = default;
};

// Cuts frames into normalised patches. Immutable; any number of threads.
class Patchifier {
 public:
  // INVALID_ARGUMENT: a size below 1, above 256, or a std that is not positive.
  static absl::StatusOr<Patchifier> Create(const PatchOptions& options = {});

  // INVALID_ARGUMENT unless both sides are multiples of patch x merge.
  absl::StatusOr<PatchGrid> Grid(ImageSize size) const;
  // Floats of one row: 3 x temporal_patch x patch x patch.
  int64_t row_values() const;

  // Writes the rows of one frame.
  // pixel_values: `[patches, channel x time x patch row x patch col]`, float32, CPU, contiguous,
  // (x * rescale - mean) / std. Rows go block by block: (h / merge, w / merge, merge, merge).
  // INVALID_ARGUMENT: broken frame, or `pixel_values` of another length than the grid needs.
  absl::Status Write(const RgbImage& frame, absl::Span<float> pixel_values) const;

 private:
  explicit Patchifier(const PatchOptions& options);
  void WritePatch(const RgbImage& frame, int row, int col, float* values) const;

  PatchOptions options_;
  std::array<std::array<float, 256>, 3> normalised_;  // of every intensity, per channel
};

}  // namespace automot::image
