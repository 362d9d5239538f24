// Between picture tensors and pictures. Stateless; any thread.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "absl/status/statusor.h"
#include "common/checkpoint/geometry.h"
#include "common/types/observation.h"

namespace automot::infer {

// `[pictures, height, width, 3]`, uint8, CPU, contiguous. INVALID_ARGUMENT naming the tensor for
// another number of channels or an absurd size.
absl::StatusOr<std::vector<RgbImage>> ToPictures(const std::string& name, const at::Tensor& tensor);

// The inverse; all pictures have one size.
at::Tensor ToTensor(const std::vector<RgbImage>& pictures);

// The BEV branch's view of uncropped camera pictures: JPEG round trip if asked for, then the crop.
// camera_rgb: `[batch, height, width, 3]` -> `[batch, crop rows, crop cols, 3]`.
absl::StatusOr<at::Tensor> CropCamera(const at::Tensor& camera_rgb,
                                      const model::PreprocessGeometry& geometry,
                                      bool jpeg_roundtrip);

}  // namespace automot::infer
