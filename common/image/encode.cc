#include "common/image/encode.h"

#include <csetjmp>
#include <cstdio>
// jpeglib.h needs <cstdio> before it.
#include <jpeglib.h>

#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/image/decode.h"
#include "common/status/status_macros.h"

namespace automot::image {
namespace {

struct JpegEncoder {
  jpeg_compress_struct info;
  jpeg_error_mgr errors;
  std::jmp_buf escape;
  char message[JMSG_LENGTH_MAX];
  unsigned char* bytes;  // grown by libjpeg with malloc
  unsigned long size;    // NOLINT(google-runtime-int): libjpeg's type
};

[[noreturn]] void FailEncode(j_common_ptr info) {
  auto& encoder = *static_cast<JpegEncoder*>(info->client_data);
  info->err->format_message(info, encoder.message);
  std::longjmp(encoder.escape, 1);
}

void IgnoreMessage(j_common_ptr) {}

bool Encode(JpegEncoder& encoder, const RgbImage& image, int quality) {
  if (setjmp(encoder.escape) != 0) return false;
  jpeg_create_compress(&encoder.info);
  encoder.info.client_data = &encoder;
  jpeg_mem_dest(&encoder.info, &encoder.bytes, &encoder.size);
  encoder.info.image_width = image.width;
  encoder.info.image_height = image.height;
  encoder.info.input_components = 3;
  encoder.info.in_color_space = JCS_RGB;
  jpeg_set_defaults(&encoder.info);
  jpeg_set_quality(&encoder.info, quality, TRUE);
  jpeg_start_compress(&encoder.info, TRUE);
  const size_t stride = size_t{3} * image.width;
  while (encoder.info.next_scanline < encoder.info.image_height) {
    auto* row = const_cast<JSAMPROW>(image.pixels.data() + stride * encoder.info.next_scanline);
    jpeg_write_scanlines(&encoder.info, &row, 1);
  }
  jpeg_finish_compress(&encoder.info);
  return true;
}

}  // namespace

absl::StatusOr<std::string> EncodeJpeg(const RgbImage& image, int quality) {
  AUTOMOT_RETURN_IF_ERROR(CheckImage(image));
  if (quality < 1 || quality > 100) {
    return absl::InvalidArgumentError(
        absl::StrCat("image: JPEG quality is ", quality, ", must be 1..100"));
  }
  JpegEncoder encoder;
  std::memset(&encoder, 0, sizeof(encoder));
  encoder.info.err = jpeg_std_error(&encoder.errors);
  encoder.info.client_data = &encoder;
  encoder.errors.error_exit = FailEncode;
  encoder.errors.output_message = IgnoreMessage;
  const bool encoded = Encode(encoder, image, quality);
  std::string bytes;
  if (encoded) bytes.assign(reinterpret_cast<const char*>(encoder.bytes), encoder.size);
  jpeg_destroy_compress(&encoder.info);
  std::free(encoder.bytes);
  if (encoded) return bytes;
  return absl::InvalidArgumentError(absl::StrCat("image: ", image.width, "x", image.height,
                                                 " cannot be encoded as JPEG: ", encoder.message));
}

absl::StatusOr<RgbImage> JpegRoundTrip(const RgbImage& image, int quality) {
  AUTOMOT_ASSIGN_OR_RETURN(const std::string bytes, EncodeJpeg(image, quality));
  DecodeLimits unlimited;
  unlimited.max_bytes = bytes.size();
  unlimited.max_side = JPEG_MAX_DIMENSION;
  unlimited.max_pixels = int64_t{JPEG_MAX_DIMENSION} * JPEG_MAX_DIMENSION;
  return DecodeJpeg(bytes, unlimited);
}

}  // namespace automot::image
