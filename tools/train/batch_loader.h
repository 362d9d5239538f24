// From recorded frames to the tensors of a batch, as the services would have received them.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/checkpoint/geometry.h"
#include "common/model/frame_encoder.h"
#include "common/tokenizer/tokenizer.h"
#include "tools/train/sampler.h"

namespace automot::train {

// What the fast step sees, and its labels. CPU, contiguous, batch first; ego frame, metres.
struct PlanBatch {
  at::Tensor rgb;            // [batch, rows, cols, 3], uint8
  at::Tensor lidar_counts;   // [batch, 1, 256, 256], uint8
  at::Tensor target_points;  // [batch, 2, 2], float32
  at::Tensor speed;          // [batch], float32, metres per second
  at::Tensor decisions;      // [batch, decision tokens], int64, kIgnoredLabel where none
  at::Tensor waypoints;      // [batch, 6, 2], float32
  at::Tensor route;          // [batch, 20, 2], float32
  at::Tensor future_speeds;  // [batch, 3], float32
};

// Holds scratch memory, so not thread-safe. Borrows what it is made of.
class BatchLoader {
 public:
  static absl::StatusOr<BatchLoader> Create(const Dataset& dataset,
                                            const model::ModelGeometry& geometry,
                                            const model::Tokenizer& tokenizer);

  // INVALID_ARGUMENT for a picture that is damaged or has not the checkpoint's camera size.
  absl::StatusOr<PlanBatch> Load(absl::Span<const PlanSample> samples);
  // The frame as the vision tower takes it: `[patches, patch values]`.
  absl::StatusOr<model::FramePatches> Patches(FrameRef frame, bool flip);
  // Label of each decision token (spec 5.1): im_start, the words' tokens, im_end where there is
  // room.
  absl::StatusOr<std::vector<int64_t>> DecisionLabels(absl::Span<const uint8_t> decisions) const;

  const Dataset& dataset() const { return *dataset_; }
  const model::ModelGeometry& geometry() const { return *geometry_; }
  const model::Tokenizer& tokenizer() const { return *tokenizer_; }

 private:
  BatchLoader(const Dataset& dataset, const model::ModelGeometry& geometry,
              const model::Tokenizer& tokenizer, model::FrameCutter cutter)
      : dataset_(&dataset),
        geometry_(&geometry),
        tokenizer_(&tokenizer),
        cutter_(std::move(cutter)) {}
  absl::StatusOr<RgbImage> Picture(FrameRef frame, bool flip) const;
  absl::Status Fill(const PlanSample& sample, int64_t row, PlanBatch& batch) const;
  const Episode& EpisodeOf(FrameRef frame) const {
    return *dataset_->episodes[static_cast<size_t>(frame.episode)];
  }

  const Dataset* dataset_;
  const model::ModelGeometry* geometry_;
  const model::Tokenizer* tokenizer_;
  model::FrameCutter cutter_;
};

}  // namespace automot::train
