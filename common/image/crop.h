// The crop of the BEV branch (spec 3.6): the top rows, full width.
#pragma once

#include "absl/status/statusor.h"
#include "common/types/observation.h"

namespace automot::image {

// INVALID_ARGUMENT: broken image, or `rows` outside 1..height.
absl::StatusOr<RgbImage> CropTopRows(const RgbImage& image, int rows);

}  // namespace automot::image
