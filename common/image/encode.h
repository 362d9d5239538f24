// Pictures to JPEG, as the published agent encodes them (spec 3.6). Stateless; any thread.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/types/observation.h"

namespace automot::image {

inline constexpr int kReferenceJpegQuality = 95;  // OpenCV's default

// Baseline JPEG, YCbCr 4:2:0. INVALID_ARGUMENT: broken image, a side above 65535, or quality
// outside 1..100.
absl::StatusOr<std::string> EncodeJpeg(const RgbImage& image, int quality = kReferenceJpegQuality);

// Encodes and decodes once, to give lossless pictures the artefacts of the training data. Size is
// kept. INVALID_ARGUMENT as EncodeJpeg.
absl::StatusOr<RgbImage> JpegRoundTrip(const RgbImage& image, int quality = kReferenceJpegQuality);

}  // namespace automot::image
