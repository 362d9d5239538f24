#include "common/image/patches.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/image/decode.h"
#include "common/status/status_macros.h"

namespace automot::image {
namespace {

constexpr double kMaxAspectRatio = 200.0;
constexpr int kMaxPatchOption = 256;

absl::Status CheckRule(ImageSize size, const SmartResizeRule& rule) {
  if (size.width < 1 || size.height < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("image: size is ", size.width, "x", size.height, ", sides must be positive"));
  }
  if (rule.factor < 1 || rule.min_pixels < 1 || rule.max_pixels < rule.min_pixels) {
    return absl::InvalidArgumentError(
        absl::StrCat("size rule: factor ", rule.factor, " and pixels ", rule.min_pixels, "..",
                     rule.max_pixels, " must be positive and ascending"));
  }
  const double ratio =
      static_cast<double>(std::max(size.width, size.height)) / std::min(size.width, size.height);
  if (ratio <= kMaxAspectRatio) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("image: aspect ratio of ", size.width, "x",
                                                 size.height, " is above ", kMaxAspectRatio));
}

}  // namespace

absl::StatusOr<ImageSize> SmartResize(ImageSize size, const SmartResizeRule& rule) {
  AUTOMOT_RETURN_IF_ERROR(CheckRule(size, rule));
  const double factor = rule.factor, width = size.width, height = size.height;
  // nearbyint rounds half to even, as the reference does.
  double rows = std::nearbyint(height / factor) * factor;
  double cols = std::nearbyint(width / factor) * factor;
  if (rows * cols > static_cast<double>(rule.max_pixels)) {
    const double shrink = std::sqrt(height * width / static_cast<double>(rule.max_pixels));
    rows = std::max(factor, std::floor(height / shrink / factor) * factor);
    cols = std::max(factor, std::floor(width / shrink / factor) * factor);
  } else if (rows * cols < static_cast<double>(rule.min_pixels)) {
    const double grow = std::sqrt(static_cast<double>(rule.min_pixels) / (height * width));
    rows = std::ceil(height * grow / factor) * factor;
    cols = std::ceil(width * grow / factor) * factor;
  }
  return ImageSize{static_cast<int>(cols), static_cast<int>(rows)};
}

absl::StatusOr<Patchifier> Patchifier::Create(const PatchOptions& options) {
  for (const auto& [name, value] :
       {std::pair{"patch", options.patch}, std::pair{"temporal_patch", options.temporal_patch},
        std::pair{"merge", options.merge}}) {
    if (value < 1 || value > kMaxPatchOption) {
      return absl::InvalidArgumentError(
          absl::StrCat("patches: ", name, " is ", value, ", must be 1..", kMaxPatchOption));
    }
  }
  for (const double std : options.std) {
    if (!(std > 0.0) || !(options.rescale_factor > 0.0)) {
      return absl::InvalidArgumentError(absl::StrCat("patches: std ", std, " and rescale factor ",
                                                     options.rescale_factor, " must be positive"));
    }
  }
  return Patchifier(options);
}

Patchifier::Patchifier(const PatchOptions& options) : options_(options) {
  for (size_t channel = 0; channel < 3; ++channel) {
    // The reference folds the rescaling into mean and std, in float32.
    const auto mean = static_cast<float>(options.mean[channel] * (1.0 / options.rescale_factor));
    const auto std = static_cast<float>(options.std[channel] * (1.0 / options.rescale_factor));
    for (int value = 0; value < 256; ++value) {
      normalised_[channel][value] = (static_cast<float>(value) - mean) / std;
    }
  }
}

absl::StatusOr<PatchGrid> Patchifier::Grid(ImageSize size) const {
  const int cell = options_.patch * options_.merge;
  if (size.width < 1 || size.height < 1 || size.width % cell != 0 || size.height % cell != 0) {
    return absl::InvalidArgumentError(absl::StrCat("image: size is ", size.width, "x", size.height,
                                                   ", sides must be multiples of ", cell));
  }
  return PatchGrid{1, size.height / options_.patch, size.width / options_.patch};
}

int64_t Patchifier::row_values() const {
  return int64_t{3} * options_.temporal_patch * options_.patch * options_.patch;
}

absl::Status Patchifier::Write(const RgbImage& frame, absl::Span<float> pixel_values) const {
  AUTOMOT_RETURN_IF_ERROR(CheckImage(frame));
  AUTOMOT_ASSIGN_OR_RETURN(const PatchGrid grid, Grid({frame.width, frame.height}));
  const int64_t needed = grid.patches() * row_values();
  if (static_cast<int64_t>(pixel_values.size()) != needed) {
    return absl::InvalidArgumentError(
        absl::StrCat("pixel_values: room for ", pixel_values.size(), " floats, must be ", needed));
  }
  const int merge = options_.merge;
  float* values = pixel_values.data();
  for (int block_row = 0; block_row < grid.h; block_row += merge) {
    for (int block_col = 0; block_col < grid.w; block_col += merge) {
      for (int inner = 0; inner < merge * merge; ++inner, values += row_values()) {
        WritePatch(frame, block_row + inner / merge, block_col + inner % merge, values);
      }
    }
  }
  return absl::OkStatus();
}

void Patchifier::WritePatch(const RgbImage& frame, int row, int col, float* values) const {
  const int patch = options_.patch;
  const int64_t plane = int64_t{patch} * patch;
  const int64_t channel_values = plane * options_.temporal_patch;
  for (int y = 0; y < patch; ++y) {
    const size_t pixel = static_cast<size_t>(row * patch + y) * frame.width + col * patch;
    const uint8_t* source = frame.pixels.data() + 3 * pixel;
    for (int x = 0; x < patch; ++x) {
      for (int channel = 0; channel < 3; ++channel) {
        values[channel * channel_values + y * patch + x] =
            normalised_[channel][source[3 * x + channel]];
      }
    }
  }
  for (int channel = 0; channel < 3; ++channel) {
    float* first = values + channel * channel_values;
    for (int time = 1; time < options_.temporal_patch; ++time) {
      std::copy_n(first, plane, first + time * plane);
    }
  }
}

}  // namespace automot::image
