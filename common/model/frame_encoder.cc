#include "common/model/frame_encoder.h"

#include <utility>
#include <vector>

#include "common/status/status_macros.h"

namespace automot::model {

absl::StatusOr<FrameCutter> FrameCutter::Create(const ModelGeometry& geometry) {
  const VisionGeometry& vision = geometry.vision;
  const PreprocessGeometry& preprocess = geometry.preprocess;
  const image::PatchOptions options{
      .patch = static_cast<int>(vision.patch),
      .temporal_patch = static_cast<int>(vision.temporal_patch),
      .merge = static_cast<int>(vision.merge),
      .rescale_factor = preprocess.rescale_factor,
      .mean = preprocess.image_mean,
      .std = preprocess.image_std,
  };
  AUTOMOT_ASSIGN_OR_RETURN(image::Patchifier patchifier, image::Patchifier::Create(options));
  const image::ImageSize agent{static_cast<int>(preprocess.resize_width),
                               static_cast<int>(preprocess.resize_height)};
  const image::ImageSize processor{static_cast<int>(preprocess.frame_width),
                                   static_cast<int>(preprocess.frame_height)};
  FrameCutter cutter(image::Resizer(agent, image::ResizeFilter::kLanczos), std::move(patchifier));
  if (agent != processor) cutter.second_.emplace(processor, image::ResizeFilter::kBicubic);
  return cutter;
}

absl::StatusOr<const RgbImage*> FrameCutter::Resize(const RgbImage& frame) {
  AUTOMOT_RETURN_IF_ERROR(resizer_.Resize(frame, resized_));
  if (!second_) return &resized_;
  AUTOMOT_RETURN_IF_ERROR(second_->Resize(resized_, resized_again_));
  return &resized_again_;
}

absl::StatusOr<FramePatches> FrameCutter::Cut(absl::Span<const RgbImage* const> resized) const {
  if (resized.empty()) return absl::InvalidArgumentError("there is no frame");
  FramePatches out;
  const image::ImageSize size{resized[0]->width, resized[0]->height};
  AUTOMOT_ASSIGN_OR_RETURN(out.grid, patchifier_.Grid(size));
  const int64_t rows = out.grid.patches(), width = patchifier_.row_values();
  out.pixel_values = at::empty({static_cast<int64_t>(resized.size()) * rows, width}, at::kFloat);
  float* target = out.pixel_values.data_ptr<float>();
  const auto values = static_cast<size_t>(rows * width);
  for (const RgbImage* frame : resized) {
    AUTOMOT_RETURN_IF_ERROR(patchifier_.Write(*frame, {target, values}));
    target += values;
  }
  return out;
}

absl::StatusOr<FrameEncoder> FrameEncoder::Create(const UnderstandingModel& model) {
  AUTOMOT_ASSIGN_OR_RETURN(FrameCutter cutter, FrameCutter::Create(model.geometry()));
  return FrameEncoder(model, std::move(cutter));
}

absl::StatusOr<ImageFeature> FrameEncoder::Encode(const RgbImage& frame) {
  AUTOMOT_ASSIGN_OR_RETURN(const RgbImage* resized, Resize(frame));
  AUTOMOT_ASSIGN_OR_RETURN(const FramePatches patches, Cut({&resized, 1}));
  AUTOMOT_ASSIGN_OR_RETURN(
      std::vector<ImageFeature> features,
      model_->EncodePatches(patches.pixel_values, patches.grid.h, patches.grid.w));
  return std::move(features[0]);
}

}  // namespace automot::model
