// The frozen BEV encoder (spec 3.6): camera picture and LiDAR histogram to one feature grid.
//
// Two RegNetY trunks, joined after each of their four stages by a fusion transformer. Batch
// normalisation is folded into the convolutions at load; the image branch after the last fusion and
// the feature pyramid do not reach the output and are not computed.
#pragma once

#include <ATen/ATen.h>

#include <array>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/checkpoint/checkpoint.h"
#include "common/model/bev/fusion_transformer.h"
#include "common/model/bev/regnet.h"
#include "common/model/weights.h"

namespace automot::model {

// Maps between the stages, for comparison with a reference. Each `[B, channels, rows, cols]`, model
// dtype, model device; undefined where the encoder does not compute it (the image map after the
// last fusion).
struct BevStages {
  at::Tensor lidar_input;  // the histogram as the trunk takes it, 0..1
  at::Tensor image_stem;
  std::array<at::Tensor, 4> image_stage, lidar_stage, image_fused, lidar_fused;
};

// Immutable after Load; any number of threads may call Encode. Holds copies of the weights, so the
// checkpoint need not outlive it.
class BevEncoder {
 public:
  // NOT_FOUND for a missing tensor, INVALID_ARGUMENT for another dtype than float32 and bfloat16,
  // FAILED_PRECONDITION for a checkpoint that wants what is not supported (ground plane).
  static absl::StatusOr<std::unique_ptr<BevEncoder>> Load(const Checkpoint& checkpoint,
                                                          const ModelOptions& options);

  // The same from any source of weights. Throws LibTorch's exceptions, and keeps gradients.
  static absl::StatusOr<std::unique_ptr<BevEncoder>> FromWeights(WeightSource& weights);

  // Encodes a batch of B >= 1 observations.
  // rgb: `[B, image_rows, image_cols, 3]`, uint8, any device, contiguous, RGB, already cropped.
  // lidar_counts: `[B, 1, lidar_rows, lidar_cols]`, uint8, any device, rows = y, columns = x,
  // counts clipped to hist_max_per_pixel.
  // bev_feature: `[B, feature_channels, lidar_grid_rows, lidar_grid_cols]`, model dtype, model
  // device, contiguous; row = y, column = x.
  // INVALID_ARGUMENT for another dtype or shape (the message names both). `stages` may be null.
  absl::StatusOr<at::Tensor> Encode(const at::Tensor& rgb, const at::Tensor& lidar_counts,
                                    BevStages* stages = nullptr) const;

  // As Encode, with inputs of the right shapes: throws LibTorch's exceptions, and keeps gradients.
  at::Tensor Compute(const at::Tensor& rgb, const at::Tensor& lidar_counts,
                     BevStages* stages = nullptr) const;

  const BevGeometry& geometry() const { return geometry_; }

 private:
  BevEncoder(const BevGeometry& geometry, const ModelOptions& options)
      : geometry_(geometry), options_(options) {}
  absl::Status LoadParts(WeightSource& weights);
  absl::Status CheckInputs(const at::Tensor& rgb, const at::Tensor& lidar_counts) const;
  at::Tensor NormalisedImage(const at::Tensor& rgb) const;
  at::Tensor NormalisedCounts(const at::Tensor& lidar_counts) const;
  at::Tensor Run(at::Tensor image, at::Tensor lidar, BevStages* stages) const;
  void Fuse(size_t stage, at::Tensor& image, at::Tensor& lidar) const;

  BevGeometry geometry_;
  ModelOptions options_;
  RegNet image_trunk_;
  RegNet lidar_trunk_;
  std::array<FusionTransformer, 4> fusion_;
  std::array<Convolution, 4> lidar_to_image_;  // 1x1, before the fusion
  std::array<Convolution, 4> image_to_lidar_;  // 1x1, after the fusion
  at::Tensor image_mean_;                      // [1, 3, 1, 1], intensities 0..1
  at::Tensor image_std_;                       // [1, 3, 1, 1]
};

}  // namespace automot::model
