#include "common/image/crop.h"

#include "absl/strings/str_cat.h"
#include "common/image/decode.h"
#include "common/status/status_macros.h"

namespace automot::image {

absl::StatusOr<RgbImage> CropTopRows(const RgbImage& image, int rows) {
  AUTOMOT_RETURN_IF_ERROR(CheckImage(image));
  if (rows < 1 || rows > image.height) {
    return absl::InvalidArgumentError(
        absl::StrCat("image: crop keeps ", rows, " rows, must be 1..", image.height));
  }
  const auto end = image.pixels.begin() + int64_t{3} * image.width * rows;
  return RgbImage{image.width, rows, std::vector<uint8_t>(image.pixels.begin(), end)};
}

}  // namespace automot::image
