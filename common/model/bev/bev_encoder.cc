#include "common/model/bev/bev_encoder.h"

#include <sstream>

#include "absl/strings/str_cat.h"
#include "common/model/torch_status.h"
#include "common/status/status_macros.h"

namespace automot::model {
namespace {

// ImageNet statistics that TransFuser++ hard-codes, for intensities 0..1.
constexpr std::array<double, 3> kImageNetMean = {0.485, 0.456, 0.406};
constexpr std::array<double, 3> kImageNetStd = {0.229, 0.224, 0.225};

at::Tensor PerChannel(const std::array<double, 3>& values, const ModelOptions& options) {
  return at::tensor(at::ArrayRef<double>(values), at::kDouble)
      .view({1, 3, 1, 1})
      .to(options.device, options.dtype);
}

absl::Status CheckTensor(const char* name, const at::Tensor& tensor, at::IntArrayRef tail) {
  if (tensor.defined() && tensor.scalar_type() == at::kByte && tensor.dim() == 4 &&
      tensor.size(0) >= 1 && tensor.sizes().slice(1) == tail) {
    return absl::OkStatus();
  }
  std::ostringstream message;
  message << name << " is ";
  if (tensor.defined()) {
    message << tensor.scalar_type() << " " << tensor.sizes();
  } else {
    message << "undefined";
  }
  message << ", must be Byte [B, " << tail[0] << ", " << tail[1] << ", " << tail[2]
          << "] with B >= 1";
  return absl::InvalidArgumentError(message.str());
}

// [B, C, rows, cols] -> [B, rows * cols, C].
at::Tensor ToTokens(const at::Tensor& map) { return map.flatten(2).transpose(1, 2); }

// [B, rows * cols, C] -> [B, C, rows, cols], channels last in memory.
at::Tensor ToMap(const at::Tensor& tokens, int64_t rows, int64_t cols) {
  return tokens.transpose(1, 2).unflatten(2, {rows, cols});
}

at::Tensor PoolTo(const at::Tensor& map, int64_t rows, int64_t cols) {
  if (map.size(2) == rows && map.size(3) == cols) return map;
  return at::adaptive_avg_pool2d(map, {rows, cols});
}

// map += update, enlarged to the size of map. Out of place: the trunk's last activation is needed
// for its gradient.
void AddResized(at::Tensor& map, const at::Tensor& update) {
  const at::IntArrayRef size = map.sizes().slice(2);
  if (update.sizes().slice(2) == size) {
    map = map + update;
  } else {
    map = map + at::upsample_bilinear2d(update, size, /*align_corners=*/false);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<BevEncoder>> BevEncoder::Load(const Checkpoint& checkpoint,
                                                             const ModelOptions& options) {
  AUTOMOT_RETURN_IF_ERROR(ValidateOptions(options));
  return CatchTorch("loading bev_encoder", [&] {
    WeightReader weights(checkpoint, options, ModelPart::kBev);
    return FromWeights(weights);
  });
}

absl::StatusOr<std::unique_ptr<BevEncoder>> BevEncoder::FromWeights(WeightSource& weights) {
  const BevGeometry& geometry = weights.geometry().bev;
  if (geometry.use_ground_plane || geometry.lidar.in_channels != 1) {
    return absl::FailedPreconditionError(absl::StrCat(
        "bev_encoder: LiDAR channels are ", geometry.lidar.in_channels, ", use_ground_plane is ",
        geometry.use_ground_plane, "; only one channel without ground plane is supported"));
  }
  std::unique_ptr<BevEncoder> encoder(new BevEncoder(geometry, weights.options()));
  AUTOMOT_RETURN_IF_ERROR(encoder->LoadParts(weights));
  return encoder;
}

absl::Status BevEncoder::LoadParts(WeightSource& weights) {
  image_trunk_.Load(weights, "bev_encoder.image_encoder.", geometry_.image);
  lidar_trunk_.Load(weights, "bev_encoder.lidar_encoder.", geometry_.lidar);
  for (size_t i = 0; i < fusion_.size(); ++i) {
    fusion_[i].Load(weights, absl::StrCat("bev_encoder.transformers.", i, "."), geometry_);
    lidar_to_image_[i] =
        ReadPointwise(weights, absl::StrCat("bev_encoder.lidar_channel_to_img.", i));
    image_to_lidar_[i] =
        ReadPointwise(weights, absl::StrCat("bev_encoder.img_channel_to_lidar.", i));
  }
  image_mean_ = PerChannel(kImageNetMean, options_);
  image_std_ = PerChannel(kImageNetStd, options_);
  return weights.status();
}

absl::Status BevEncoder::CheckInputs(const at::Tensor& rgb, const at::Tensor& lidar_counts) const {
  AUTOMOT_RETURN_IF_ERROR(CheckTensor("rgb", rgb, {geometry_.image_rows, geometry_.image_cols, 3}));
  AUTOMOT_RETURN_IF_ERROR(
      CheckTensor("lidar_counts", lidar_counts, {1, geometry_.lidar_rows, geometry_.lidar_cols}));
  if (rgb.size(0) == lidar_counts.size(0)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("rgb has batch ", rgb.size(0),
                                                 ", lidar_counts has batch ", lidar_counts.size(0),
                                                 "; they must be equal"));
}

at::Tensor BevEncoder::NormalisedImage(const at::Tensor& rgb) const {
  // The permuted view of NHWC bytes already is a channels-last NCHW map.
  at::Tensor image = rgb.to(options_.device).permute({0, 3, 1, 2}).to(options_.dtype);
  if (!geometry_.normalize_imagenet) return image;
  return image.div_(255.0).sub_(image_mean_).div_(image_std_);
}

at::Tensor BevEncoder::NormalisedCounts(const at::Tensor& lidar_counts) const {
  // Divided in float32 and rounded once, as the reference hands the picture over.
  return lidar_counts.to(options_.device)
      .to(at::kFloat)
      .div_(static_cast<double>(geometry_.hist_max_per_pixel))
      .to(options_.dtype);
}

absl::StatusOr<at::Tensor> BevEncoder::Encode(const at::Tensor& rgb, const at::Tensor& lidar_counts,
                                              BevStages* stages) const {
  AUTOMOT_RETURN_IF_ERROR(CheckInputs(rgb, lidar_counts));
  return CatchTorch("bev_encoder", [&]() -> absl::StatusOr<at::Tensor> {
    return Compute(rgb, lidar_counts, stages);
  });
}

at::Tensor BevEncoder::Compute(const at::Tensor& rgb, const at::Tensor& lidar_counts,
                               BevStages* stages) const {
  return Run(NormalisedImage(rgb), NormalisedCounts(lidar_counts), stages);
}

at::Tensor BevEncoder::Run(at::Tensor image, at::Tensor lidar, BevStages* stages) const {
  image = image_trunk_.Stem(image);
  if (stages != nullptr) stages->lidar_input = lidar.clone();
  lidar = lidar_trunk_.Stem(lidar);
  if (stages != nullptr) stages->image_stem = image.clone();
  for (size_t stage = 0; stage < fusion_.size(); ++stage) {
    image = image_trunk_.Stage(stage, image);
    lidar = lidar_trunk_.Stage(stage, lidar);
    if (stages != nullptr) {
      stages->image_stage[stage] = image.clone();
      stages->lidar_stage[stage] = lidar.clone();
    }
    Fuse(stage, image, lidar);
    if (stages != nullptr) {
      stages->image_fused[stage] = stage + 1 < fusion_.size() ? image.clone() : at::Tensor();
      stages->lidar_fused[stage] = lidar.clone();
    }
  }
  return lidar.contiguous();
}

void BevEncoder::Fuse(size_t stage, at::Tensor& image, at::Tensor& lidar) const {
  const BevGeometry& g = geometry_;
  const at::Tensor image_cells = PoolTo(image, g.image_grid_rows, g.image_grid_cols);
  const at::Tensor lidar_cells =
      lidar_to_image_[stage].Run(PoolTo(lidar, g.lidar_grid_rows, g.lidar_grid_cols));
  const at::Tensor tokens =
      fusion_[stage].Run(at::cat({ToTokens(image_cells), ToTokens(lidar_cells)}, 1));
  const int64_t split = g.image_tokens();
  if (stage + 1 < fusion_.size()) {
    AddResized(image, ToMap(tokens.narrow(1, 0, split), g.image_grid_rows, g.image_grid_cols));
  }
  const at::Tensor lidar_update =
      ToMap(tokens.narrow(1, split, g.lidar_tokens()), g.lidar_grid_rows, g.lidar_grid_cols);
  AddResized(lidar, image_to_lidar_[stage].Run(lidar_update));
}

}  // namespace automot::model
