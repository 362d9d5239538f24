#include <csetjmp>
#include <cstdio>
// jpeglib.h needs <cstdio> before it.
#include <jpeglib.h>
// jerror.h needs jpeglib.h before it.
#include <jerror.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/image/decode.h"
#include "common/status/status_macros.h"

namespace automot::image {
namespace {

// libjpeg reports failure by leaving the call: its callbacks jump back to the `setjmp` of the
// function that is running. Such a function holds only trivial locals; whatever owns memory lives
// in its caller.
struct JpegDecoder {
  jpeg_decompress_struct info;
  jpeg_error_mgr errors;
  jpeg_progress_mgr progress;
  std::jmp_buf escape;
  int max_scans;
  char message[JMSG_LENGTH_MAX];
};

JpegDecoder& DecoderOf(j_common_ptr info) { return *static_cast<JpegDecoder*>(info->client_data); }

[[noreturn]] void FailDecode(j_common_ptr info) {
  JpegDecoder& decoder = DecoderOf(info);
  info->err->format_message(info, decoder.message);
  std::longjmp(decoder.escape, 1);
}

// libjpeg goes on after a warning with grey or repeated pixels. Only the two that leave the pixels
// alone pass: an unusual JFIF version and an unusual Adobe marker.
void FailOnDamage(j_common_ptr info, int level) {
  if (level >= 0) return;
  if (info->err->msg_code == JWRN_JFIF_MAJOR || info->err->msg_code == JWRN_ADOBE_XFORM) return;
  FailDecode(info);
}

void FailOnScans(j_common_ptr info) {
  JpegDecoder& decoder = DecoderOf(info);
  if (decoder.info.input_scan_number <= decoder.max_scans) return;
  std::snprintf(decoder.message, sizeof(decoder.message), "more than %d scans", decoder.max_scans);
  std::longjmp(decoder.escape, 1);
}

void IgnoreMessage(j_common_ptr) {}

bool ReadHeader(JpegDecoder& decoder, std::string_view bytes) {
  if (setjmp(decoder.escape) != 0) return false;
  jpeg_create_decompress(&decoder.info);
  decoder.info.client_data = &decoder;
  decoder.info.progress = &decoder.progress;
  jpeg_mem_src(&decoder.info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_read_header(&decoder.info, TRUE);
  decoder.info.out_color_space = JCS_RGB;
  return true;
}

// `image` has the sides, and room for the pixels.
bool ReadPixels(JpegDecoder& decoder, int reduction, RgbImage& image) {
  if (setjmp(decoder.escape) != 0) return false;
  decoder.info.scale_num = 1;
  decoder.info.scale_denom = static_cast<unsigned>(reduction);
  jpeg_start_decompress(&decoder.info);
  if (decoder.info.output_width != static_cast<JDIMENSION>(image.width) ||
      decoder.info.output_height != static_cast<JDIMENSION>(image.height)) {
    std::snprintf(decoder.message, sizeof(decoder.message), "decodes to %u x %u",
                  decoder.info.output_width, decoder.info.output_height);
    return false;
  }
  uint8_t* const pixels = image.pixels.data();
  const size_t stride = size_t{3} * decoder.info.output_width;
  while (decoder.info.output_scanline < decoder.info.output_height) {
    JSAMPROW row = pixels + stride * decoder.info.output_scanline;
    jpeg_read_scanlines(&decoder.info, &row, 1);
  }
  jpeg_finish_decompress(&decoder.info);
  return true;
}

absl::Status DecodeInto(JpegDecoder& decoder, std::string_view bytes, const DecodeLimits& limits,
                        ReductionChoice choose, RgbImage& image) {
  const auto damaged = [&] {
    return absl::InvalidArgumentError(
        absl::StrCat("image: JPEG of ", bytes.size(), " bytes is damaged: ", decoder.message));
  };
  if (!ReadHeader(decoder, bytes)) return damaged();
  AUTOMOT_RETURN_IF_ERROR(CheckSize(decoder.info.image_width, decoder.info.image_height, limits));
  const int width = static_cast<int>(decoder.info.image_width);
  const int height = static_cast<int>(decoder.info.image_height);
  const int reduction = choose(width, height);
  image.width = (width + reduction - 1) / reduction;
  image.height = (height + reduction - 1) / reduction;
  image.pixels.resize(size_t{3} * image.width * image.height);
  if (!ReadPixels(decoder, reduction, image)) return damaged();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RgbImage> DecodeJpeg(std::string_view bytes, const DecodeLimits& limits) {
  return DecodeJpegReduced(bytes, limits, [](int, int) { return 1; });
}

absl::StatusOr<RgbImage> DecodeJpegReduced(std::string_view bytes, const DecodeLimits& limits,
                                           ReductionChoice choose) {
  if (bytes.size() > limits.max_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("image: JPEG of ", bytes.size(), " bytes, the limit is ", limits.max_bytes));
  }
  JpegDecoder decoder;
  std::memset(&decoder, 0, sizeof(decoder));
  decoder.info.err = jpeg_std_error(&decoder.errors);
  decoder.info.client_data = &decoder;
  decoder.errors.error_exit = FailDecode;
  decoder.errors.emit_message = FailOnDamage;
  decoder.errors.output_message = IgnoreMessage;
  decoder.progress.progress_monitor = FailOnScans;
  decoder.max_scans = limits.max_scans;
  RgbImage image;
  const absl::Status status = DecodeInto(decoder, bytes, limits, choose, image);
  jpeg_destroy_decompress(&decoder.info);
  if (!status.ok()) return status;
  return image;
}

}  // namespace automot::image
