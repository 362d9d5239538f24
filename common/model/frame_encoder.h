// From a decoded camera frame to the vision tower's feature: LANCZOS resize, patches, tower
// (spec 2.2, 2.3).
#pragma once

#include <ATen/ATen.h>

#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/image/patches.h"
#include "common/image/resize.h"
#include "common/model/understanding_model.h"
#include "common/types/observation.h"

namespace automot::model {

// Pictures of any number of frames as the vision tower takes them.
struct FramePatches {
  at::Tensor pixel_values;  // [frames * grid.patches(), patch values], float32, CPU
  image::PatchGrid grid;    // of each frame
};

// What of that needs no weights. Holds scratch memory, so not thread-safe: one per thread.
class FrameCutter {
 public:
  static absl::StatusOr<FrameCutter> Create(const ModelGeometry& geometry);

  // Resizes as the published agent does (LANCZOS) and then, where Qwen's size rule wants another
  // size, as its image processor does (BICUBIC). The picture is valid until the next call.
  absl::StatusOr<const RgbImage*> Resize(const RgbImage& frame);
  // Cuts pictures of one size, already resized, into patches.
  absl::StatusOr<FramePatches> Cut(absl::Span<const RgbImage* const> resized) const;

 private:
  FrameCutter(image::Resizer resizer, image::Patchifier patchifier)
      : resizer_(std::move(resizer)), patchifier_(std::move(patchifier)) {}

  image::Resizer resizer_;
  std::optional<image::Resizer> second_;  // where the size rule changes the frame
  image::Patchifier patchifier_;
  RgbImage resized_, resized_again_;
};

// Not thread-safe: one per thread. The model must outlive it.
class FrameEncoder {
 public:
  static absl::StatusOr<FrameEncoder> Create(const UnderstandingModel& model);

  // See FrameCutter.
  absl::StatusOr<const RgbImage*> Resize(const RgbImage& frame) { return cutter_.Resize(frame); }
  absl::StatusOr<FramePatches> Cut(absl::Span<const RgbImage* const> resized) const {
    return cutter_.Cut(resized);
  }

  // All three steps for one frame of any size. INVALID_ARGUMENT for a broken frame.
  absl::StatusOr<ImageFeature> Encode(const RgbImage& frame);

 private:
  FrameEncoder(const UnderstandingModel& model, FrameCutter cutter)
      : model_(&model), cutter_(std::move(cutter)) {}

  const UnderstandingModel* model_;
  FrameCutter cutter_;
};

}  // namespace automot::model
