#include "tools/train/batch_loader.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/image/decode.h"
#include "common/status/status_macros.h"
#include "tools/train/losses.h"

namespace automot::train {
namespace {

constexpr std::array<const char*, 4> kWords = {"stop", "slow", "keep", "accelerate"};

void MirrorPicture(RgbImage& image) {
  const auto width = static_cast<size_t>(image.width);
  for (size_t row = 0; row < static_cast<size_t>(image.height); ++row) {
    uint8_t* const line = image.pixels.data() + row * width * 3;
    for (size_t a = 0, b = width - 1; a < b; ++a, --b) {
      std::swap_ranges(line + 3 * a, line + 3 * a + 3, line + 3 * b);
    }
  }
}

// Copies points of one frame, y negated where mirrored. target: contiguous float32.
void CopyPoints(absl::Span<const float> all, int64_t frame, bool flip, const at::Tensor& target) {
  const auto count = static_cast<size_t>(target.numel());
  const absl::Span<const float> values = all.subspan(static_cast<size_t>(frame) * count, count);
  float* const out = target.data_ptr<float>();
  for (size_t i = 0; i < count; ++i) out[i] = flip && i % 2 == 1 ? -values[i] : values[i];
}

// Rows of the histogram are y, from the left.
void DisturbLidar(const PlanSample& sample, at::Tensor counts) {
  const int64_t half = counts.size(0) / 2;
  if (sample.lidar == LidarUse::kNone) counts.zero_();
  if (sample.lidar == LidarUse::kLeft) counts.narrow(0, half, half).zero_();
  if (sample.lidar == LidarUse::kRight) counts.narrow(0, 0, half).zero_();
  if (sample.flip) counts.copy_(counts.flip({0}));
}

}  // namespace

absl::StatusOr<BatchLoader> BatchLoader::Create(const Dataset& dataset,
                                                const model::ModelGeometry& geometry,
                                                const model::Tokenizer& tokenizer) {
  if (geometry.action.route_points != 20 || geometry.action.waypoints != 6 ||
      geometry.action.future_speeds != 3 || geometry.bev.lidar_rows != 256 ||
      geometry.bev.lidar_cols != 256) {
    return absl::FailedPreconditionError(
        "the checkpoint's route, waypoints, speeds or histogram are not those of the data format");
  }
  AUTOMOT_ASSIGN_OR_RETURN(model::FrameCutter cutter, model::FrameCutter::Create(geometry));
  return BatchLoader(dataset, geometry, tokenizer, std::move(cutter));
}

absl::StatusOr<RgbImage> BatchLoader::Picture(FrameRef frame, bool flip) const {
  AUTOMOT_ASSIGN_OR_RETURN(RgbImage image, image::DecodeJpeg(EpisodeOf(frame).Jpeg(frame.frame)));
  const model::PreprocessGeometry& wanted = geometry_->preprocess;
  if (image.width != wanted.camera_width || image.height != wanted.camera_height) {
    return absl::InvalidArgumentError(absl::StrCat(
        "episode ", EpisodeOf(frame).id(), " has pictures of ", image.width, "x", image.height,
        ", the checkpoint's camera is ", wanted.camera_width, "x", wanted.camera_height));
  }
  if (flip) MirrorPicture(image);
  return image;
}

absl::StatusOr<model::FramePatches> BatchLoader::Patches(FrameRef frame, bool flip) {
  AUTOMOT_ASSIGN_OR_RETURN(const RgbImage image, Picture(frame, flip));
  AUTOMOT_ASSIGN_OR_RETURN(const RgbImage* resized, cutter_.Resize(image));
  return cutter_.Cut({&resized, 1});
}

absl::StatusOr<std::vector<int64_t>> BatchLoader::DecisionLabels(
    absl::Span<const uint8_t> decisions) const {
  std::vector<std::string> words;
  for (const uint8_t decision : decisions) words.push_back(absl::StrCat(" ", kWords[decision]));
  AUTOMOT_ASSIGN_OR_RETURN(const std::vector<int64_t> text,
                           tokenizer_->Encode(absl::StrJoin(words, ","), /*allow_special=*/false));
  const auto slots = static_cast<size_t>(geometry_->action.decision_tokens);
  std::vector<int64_t> labels = {geometry_->tokens.im_start};
  labels.insert(labels.end(), text.begin(), text.end());
  labels.push_back(geometry_->tokens.im_end);
  labels.resize(slots, kIgnoredLabel);
  return labels;
}

absl::Status BatchLoader::Fill(const PlanSample& sample, int64_t row, PlanBatch& batch) const {
  const Episode& episode = EpisodeOf(sample.now);
  const int64_t frame = sample.now.frame;
  if (sample.camera) {
    AUTOMOT_ASSIGN_OR_RETURN(const RgbImage image, Picture(sample.now, sample.flip));
    // The crop keeps the top rows at full width: the beginning of the picture's memory.
    const at::Tensor target = batch.rgb[row];
    std::memcpy(target.data_ptr(), image.pixels.data(), target.nbytes());
  }
  const at::Tensor counts = batch.lidar_counts[row][0];
  episode.FillLidar(frame, {counts.data_ptr<uint8_t>(), static_cast<size_t>(counts.numel())});
  DisturbLidar(sample, counts);
  CopyPoints(episode.target_points, frame, sample.flip, batch.target_points[row]);
  CopyPoints(episode.route, frame, sample.flip, batch.route[row]);
  CopyPoints(episode.waypoints, frame, sample.flip, batch.waypoints[row]);
  CopyPoints(episode.future_speeds, frame, /*flip=*/false, batch.future_speeds[row]);
  batch.speed[row].fill_(episode.speed_mps[static_cast<size_t>(frame)]);
  AUTOMOT_ASSIGN_OR_RETURN(
      const std::vector<int64_t> labels,
      DecisionLabels(episode.decisions.subspan(static_cast<size_t>(frame) * 3, 3)));
  batch.decisions[row].copy_(at::tensor(labels, at::kLong));
  return absl::OkStatus();
}

absl::StatusOr<PlanBatch> BatchLoader::Load(absl::Span<const PlanSample> samples) {
  const auto count = static_cast<int64_t>(samples.size());
  const model::BevGeometry& bev = geometry_->bev;
  PlanBatch batch{.rgb = at::zeros({count, bev.image_rows, bev.image_cols, 3}, at::kByte),
                  .lidar_counts = at::zeros({count, 1, bev.lidar_rows, bev.lidar_cols}, at::kByte),
                  .target_points = at::zeros({count, 2, 2}),
                  .speed = at::zeros({count}),
                  .decisions = at::zeros({count, geometry_->action.decision_tokens}, at::kLong),
                  .waypoints = at::zeros({count, 6, 2}),
                  .route = at::zeros({count, 20, 2}),
                  .future_speeds = at::zeros({count, 3})};
  for (int64_t row = 0; row < count; ++row) {
    AUTOMOT_RETURN_IF_ERROR(Fill(samples[static_cast<size_t>(row)], row, batch));
  }
  return batch;
}

}  // namespace automot::train
