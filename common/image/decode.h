// JPEG and PNG bytes to pictures.
//
// The bytes come from the network: every limit is checked against the header before a pixel buffer
// is allocated, and damaged data is an error, never a partly grey picture. All functions are
// stateless; any thread may call them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/types/observation.h"

namespace automot::image {

struct DecodeLimits {
  size_t max_bytes = size_t{16} << 20;     // of the compressed picture
  int max_side = 8192;                     // pixels, either axis
  int64_t max_pixels = int64_t{16} << 20;  // width x height
  int max_scans = 100;                     // of a progressive JPEG; each costs a pass over it
};

enum class ImageFormat { kUnknown, kJpeg, kPng };

// Looks at the first bytes only.
ImageFormat SniffFormat(std::string_view bytes);

// Grey and YCbCr JPEGs become RGB; EXIF orientation is not applied. Arithmetic as in OpenCV and
// Pillow (libjpeg-turbo: integer DCT, smooth chroma upsampling).
// INVALID_ARGUMENT: over a limit, not a JPEG, truncated, damaged, or a colour space without RGB.
absl::StatusOr<RgbImage> DecodeJpeg(std::string_view bytes, const DecodeLimits& limits = {});

// Told the sides of a JPEG, by how much to divide them: 1, 2, 4 or 8.
using ReductionChoice = absl::FunctionRef<int(int width, int height)>;

// The same, smaller: the sides are divided, rounded up, by leaving out the high frequencies of each
// block. As the mean of squares of that side, without making the pixels first; as strict with
// damage. `choose` is called once the header has passed the limits.
absl::StatusOr<RgbImage> DecodeJpegReduced(std::string_view bytes, const DecodeLimits& limits,
                                           ReductionChoice choose);

// Palette, grey and 16-bit PNGs become 8-bit RGB; alpha and gamma are ignored.
// INVALID_ARGUMENT: over a limit, not a PNG, truncated or damaged.
absl::StatusOr<RgbImage> DecodePng(std::string_view bytes, const DecodeLimits& limits = {});

// The format is that of the first bytes, whatever the sender called it. INVALID_ARGUMENT for
// another format, and as above.
absl::StatusOr<RgbImage> DecodeImage(std::string_view bytes, const DecodeLimits& limits = {});

// INVALID_ARGUMENT, naming value and limit, unless 1 <= width, height <= max_side and
// width x height <= max_pixels. For raw pixels and for decoders.
absl::Status CheckSize(int64_t width, int64_t height, const DecodeLimits& limits);

// INVALID_ARGUMENT unless the sides are positive and `pixels` holds width x height x 3 bytes.
absl::Status CheckImage(const RgbImage& image);

}  // namespace automot::image
