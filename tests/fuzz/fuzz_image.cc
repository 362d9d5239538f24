// Input: a picture as a client sends it. It is refused, or decoded to a whole picture within
// limits.
#include <string_view>

#include "common/image/decode.h"
#include "tests/fuzz/fuzz_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using automot::fuzz::Check;
  const automot::image::DecodeLimits limits = {
      .max_bytes = size_t{1} << 20, .max_side = 512, .max_pixels = 128 * 128, .max_scans = 8};
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto picture = automot::image::DecodeImage(bytes, limits);
  if (!picture.ok()) {
    Check(picture.status().code() == absl::StatusCode::kInvalidArgument, "INVALID_ARGUMENT");
    return 0;
  }
  Check(automot::image::CheckSize(picture->width, picture->height, limits).ok(), "size in limits");
  Check(automot::image::CheckImage(*picture).ok(), "a whole picture");
  return 0;
}
