#include <algorithm>

#include "common/checkpoint/derive_geometry.h"
#include "common/checkpoint/text.h"
#include "common/image/patches.h"
#include "common/status/status_macros.h"

namespace automot::model {

absl::Status ApplySizeRule(ModelGeometry& geometry) {
  PreprocessGeometry& p = geometry.preprocess;
  // Sizes out of an int's range are out of the rule's as well.
  static constexpr int64_t kLargest = int64_t{1} << 30;
  const auto small = [](int64_t value) {
    return static_cast<int>(std::clamp<int64_t>(value, 0, kLargest));
  };
  const image::SmartResizeRule rule{.factor = small(geometry.vision.patch * geometry.vision.merge),
                                    .min_pixels = p.min_pixels,
                                    .max_pixels = p.max_pixels};
  AUTOMOT_ASSIGN_OR_RETURN(
      const image::ImageSize size,
      image::SmartResize({small(p.resize_width), small(p.resize_height)}, rule));
  if (size.width > image::kMaxResizeSide || size.height > image::kMaxResizeSide) {
    return absl::InvalidArgumentError(Concat("preprocessor_config.json: its limits make frames of ",
                                             p.resize_width, "x", p.resize_height, " ", size.width,
                                             "x", size.height, ", sides may have ",
                                             image::kMaxResizeSide, " pixels"));
  }
  p.frame_width = size.width;
  p.frame_height = size.height;
  return absl::OkStatus();
}

}  // namespace automot::model
