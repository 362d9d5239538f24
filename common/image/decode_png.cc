#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/image/decode.h"
#include "common/status/status_macros.h"

namespace automot::image {
namespace {

// Ancillary chunks (profiles, texts) carry nothing that is used; they may not cost memory either.
constexpr png_uint_32 kMaxAncillaryChunks = 64;
constexpr png_alloc_size_t kMaxChunkBytes = size_t{1} << 20;

// Chunks of any length that nothing here uses: profile, texts, palettes to suggest, EXIF,
// calibration. Left to its defaults libpng would allocate what such a chunk says is its length, up
// to 2 GB, before it finds that the bytes are not there: png_set_chunk_malloc_max only warns.
constexpr png_byte kSkippedChunks[] = "iCCP\0tEXt\0zTXt\0iTXt\0sPLT\0eXIf\0pCAL\0sCAL\0hIST";
constexpr int kSkippedChunkCount = sizeof(kSkippedChunks) / 5;

// libpng reports failure by jumping back to the `setjmp` of the function that is running. Such a
// function holds only trivial locals; whatever owns memory lives in its caller.
struct PngDecoder {
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::string_view unread;
  std::jmp_buf escape;
  char message[128] = "not enough memory";
};

[[noreturn]] void FailDecode(png_structp png, png_const_charp message) {
  auto& decoder = *static_cast<PngDecoder*>(png_get_error_ptr(png));
  std::snprintf(decoder.message, sizeof(decoder.message), "%s", message);
  std::longjmp(decoder.escape, 1);
}

// Warnings concern ancillary chunks and surplus bytes; pixels are whole.
void IgnoreWarning(png_structp, png_const_charp) {}

void ReadBytes(png_structp png, png_bytep target, size_t count) {
  auto& decoder = *static_cast<PngDecoder*>(png_get_io_ptr(png));
  if (count > decoder.unread.size()) png_error(png, "premature end of data");
  std::memcpy(target, decoder.unread.data(), count);
  decoder.unread.remove_prefix(count);
}

void AskForRgb(png_structp png, png_infop info) {
  png_set_expand(png);
  png_set_scale_16(png);
  png_set_gray_to_rgb(png);
  png_set_strip_alpha(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
}

bool ReadHeader(PngDecoder& decoder, const DecodeLimits& limits) {
  if (setjmp(decoder.escape) != 0) return false;
  decoder.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &decoder, FailDecode, IgnoreWarning);
  if (decoder.png == nullptr) return false;
  decoder.info = png_create_info_struct(decoder.png);
  if (decoder.info == nullptr) return false;
  png_set_read_fn(decoder.png, &decoder, ReadBytes);
  png_set_user_limits(decoder.png, limits.max_side, limits.max_side);
  png_set_chunk_cache_max(decoder.png, kMaxAncillaryChunks);
  png_set_chunk_malloc_max(decoder.png, kMaxChunkBytes);
  png_set_keep_unknown_chunks(decoder.png, PNG_HANDLE_CHUNK_NEVER, kSkippedChunks,
                              kSkippedChunkCount);
  png_read_info(decoder.png, decoder.info);
  return true;
}

bool ReadPixels(PngDecoder& decoder, size_t row_bytes, png_bytepp rows) {
  if (setjmp(decoder.escape) != 0) return false;
  AskForRgb(decoder.png, decoder.info);
  if (png_get_rowbytes(decoder.png, decoder.info) != row_bytes) {
    png_error(decoder.png, "cannot be converted to RGB");
  }
  png_read_image(decoder.png, rows);
  png_read_end(decoder.png, nullptr);
  return true;
}

absl::Status DecodeInto(PngDecoder& decoder, size_t size, const DecodeLimits& limits,
                        RgbImage& image) {
  const auto damaged = [&] {
    return absl::InvalidArgumentError(
        absl::StrCat("image: PNG of ", size, " bytes is damaged: ", decoder.message));
  };
  if (!ReadHeader(decoder, limits)) return damaged();
  const png_uint_32 width = png_get_image_width(decoder.png, decoder.info);
  const png_uint_32 height = png_get_image_height(decoder.png, decoder.info);
  AUTOMOT_RETURN_IF_ERROR(CheckSize(width, height, limits));
  image.width = static_cast<int>(width);
  image.height = static_cast<int>(height);
  const size_t row_bytes = size_t{3} * width;
  image.pixels.resize(row_bytes * height);
  std::vector<png_bytep> rows(height);
  for (size_t row = 0; row < height; ++row) rows[row] = image.pixels.data() + row * row_bytes;
  if (!ReadPixels(decoder, row_bytes, rows.data())) return damaged();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RgbImage> DecodePng(std::string_view bytes, const DecodeLimits& limits) {
  if (bytes.size() > limits.max_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("image: PNG of ", bytes.size(), " bytes, the limit is ", limits.max_bytes));
  }
  PngDecoder decoder;
  decoder.unread = bytes;
  RgbImage image;
  const absl::Status status = DecodeInto(decoder, bytes.size(), limits, image);
  png_destroy_read_struct(&decoder.png, &decoder.info, nullptr);
  if (!status.ok()) return status;
  return image;
}

}  // namespace automot::image
