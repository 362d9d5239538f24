#include "tools/infer/pictures.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/image/crop.h"
#include "common/image/decode.h"
#include "common/image/encode.h"
#include "common/status/status_macros.h"
#include "tools/infer/inputs.h"

namespace automot::infer {

absl::StatusOr<std::vector<RgbImage>> ToPictures(const std::string& name,
                                                 const at::Tensor& tensor) {
  AUTOMOT_RETURN_IF_ERROR(CheckAxes(name, tensor, {-1, -1, -1, 3}, "[pictures, height, width, 3]"));
  const int64_t height = tensor.size(1), width = tensor.size(2);
  const absl::Status size = image::CheckSize(width, height, {});
  if (!size.ok()) return absl::Status(size.code(), absl::StrCat(name, ": ", size.message()));
  std::vector<RgbImage> pictures;
  for (int64_t i = 0; i < tensor.size(0); ++i) {
    const at::Tensor picture = tensor[i];
    RgbImage image{.width = static_cast<int>(width), .height = static_cast<int>(height)};
    image.pixels.resize(picture.nbytes());
    std::memcpy(image.pixels.data(), picture.const_data_ptr(), image.pixels.size());
    pictures.push_back(std::move(image));
  }
  return pictures;
}

at::Tensor ToTensor(const std::vector<RgbImage>& pictures) {
  const auto count = static_cast<int64_t>(pictures.size());
  at::Tensor tensor = at::empty({count, pictures[0].height, pictures[0].width, 3}, at::kByte);
  for (int64_t i = 0; i < count; ++i) {
    const std::vector<uint8_t>& pixels = pictures[static_cast<size_t>(i)].pixels;
    std::memcpy(tensor[i].data_ptr(), pixels.data(), pixels.size());
  }
  return tensor;
}

absl::StatusOr<at::Tensor> CropCamera(const at::Tensor& camera_rgb,
                                      const model::PreprocessGeometry& geometry,
                                      bool jpeg_roundtrip) {
  AUTOMOT_RETURN_IF_ERROR(CheckAxes(
      "camera_rgb", camera_rgb, {-1, geometry.camera_height, geometry.camera_width, 3},
      absl::StrCat("[batch, ", geometry.camera_height, ", ", geometry.camera_width, ", 3]")));
  AUTOMOT_ASSIGN_OR_RETURN(std::vector<RgbImage> pictures, ToPictures("camera_rgb", camera_rgb));
  for (RgbImage& picture : pictures) {
    if (jpeg_roundtrip) {
      AUTOMOT_ASSIGN_OR_RETURN(picture, image::JpegRoundTrip(picture));
    }
    AUTOMOT_ASSIGN_OR_RETURN(picture,
                             image::CropTopRows(picture, static_cast<int>(geometry.crop_rows)));
  }
  return ToTensor(pictures);
}

}  // namespace automot::infer
