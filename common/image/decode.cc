#include "common/image/decode.h"

#include "absl/strings/str_cat.h"

namespace automot::image {

ImageFormat SniffFormat(std::string_view bytes) {
  constexpr std::string_view kJpegMagic("\xFF\xD8\xFF", 3);
  constexpr std::string_view kPngMagic("\x89PNG\r\n\x1A\n", 8);
  if (bytes.starts_with(kJpegMagic)) return ImageFormat::kJpeg;
  if (bytes.starts_with(kPngMagic)) return ImageFormat::kPng;
  return ImageFormat::kUnknown;
}

absl::StatusOr<RgbImage> DecodeImage(std::string_view bytes, const DecodeLimits& limits) {
  switch (SniffFormat(bytes)) {
    case ImageFormat::kJpeg:
      return DecodeJpeg(bytes, limits);
    case ImageFormat::kPng:
      return DecodePng(bytes, limits);
    case ImageFormat::kUnknown:
      break;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("image: ", bytes.size(), " bytes that begin neither as JPEG nor as PNG"));
}

absl::Status CheckSize(int64_t width, int64_t height, const DecodeLimits& limits) {
  if (width < 1 || height < 1 || width > limits.max_side || height > limits.max_side) {
    return absl::InvalidArgumentError(absl::StrCat("image: size is ", width, "x", height,
                                                   ", each side must be 1..", limits.max_side));
  }
  if (width * height > limits.max_pixels) {
    return absl::InvalidArgumentError(absl::StrCat("image: ", width, "x", height, " is ",
                                                   width * height, " pixels, the limit is ",
                                                   limits.max_pixels));
  }
  return absl::OkStatus();
}

absl::Status CheckImage(const RgbImage& image) {
  const bool positive = image.width > 0 && image.height > 0;
  const size_t needed = positive ? size_t{3} * image.width * image.height : 0;
  if (positive && image.pixels.size() == needed) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("image: ", image.pixels.size(), " bytes for size ",
                                                 image.width, "x", image.height,
                                                 " with 3 channels, must be ", needed));
}

}  // namespace automot::image
