#include "common/model/understanding_model.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/model/torch_status.h"
#include "common/status/status_macros.h"

namespace automot::model {
namespace {

absl::Status CheckGrid(const VisionGeometry& vision, const at::Tensor& pixel_values, int64_t rows,
                       int64_t cols) {
  for (const int64_t side : {rows, cols}) {
    if (side < vision.merge || side > UnderstandingModel::kMaxPatchesPerSide ||
        side % vision.merge != 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "grid is ", rows, "x", cols, " patches, each side must be a multiple of ", vision.merge,
          " in [", vision.merge, ", ", UnderstandingModel::kMaxPatchesPerSide, "]"));
    }
  }
  if (!pixel_values.defined() || pixel_values.dim() != 2 || pixel_values.size(0) < 1 ||
      pixel_values.size(1) != vision.patch_values() || pixel_values.size(0) % (rows * cols) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "pixel_values is ", pixel_values.defined() ? c10::str(pixel_values.sizes()) : "absent",
        ", must be [images * ", rows * cols, ", ", vision.patch_values(), "]"));
  }
  return absl::OkStatus();
}

}  // namespace

UnderstandingModel::UnderstandingModel(const ModelGeometry& geometry, const ModelOptions& options,
                                       std::unique_ptr<VisionTower> vision,
                                       std::unique_ptr<TextDecoder> decoder)
    : geometry_(geometry),
      options_(options),
      vision_(std::move(vision)),
      decoder_(std::move(decoder)) {}

absl::StatusOr<std::unique_ptr<const UnderstandingModel>> UnderstandingModel::Load(
    const Checkpoint& checkpoint, const ModelOptions& options) {
  AUTOMOT_RETURN_IF_ERROR(ValidateOptions(options));
  return CatchTorch(
      "loading the understanding expert",
      [&]() -> absl::StatusOr<std::unique_ptr<const UnderstandingModel>> {
        WeightReader reader(checkpoint, options);
        AUTOMOT_ASSIGN_OR_RETURN(std::unique_ptr<VisionTower> vision, VisionTower::Load(reader));
        AUTOMOT_ASSIGN_OR_RETURN(std::unique_ptr<TextDecoder> decoder, TextDecoder::Load(reader));
        return std::unique_ptr<const UnderstandingModel>(new UnderstandingModel(
            checkpoint.geometry(), options, std::move(vision), std::move(decoder)));
      });
}

absl::StatusOr<std::vector<ImageFeature>> UnderstandingModel::EncodePatches(
    const at::Tensor& pixel_values, int64_t rows, int64_t cols) const {
  AUTOMOT_RETURN_IF_ERROR(CheckGrid(geometry_.vision, pixel_values, rows, cols));
  return CatchTorch("encoding images", [&]() -> absl::StatusOr<std::vector<ImageFeature>> {
    return vision_->Encode(pixel_values, rows, cols);
  });
}

absl::StatusOr<PromptSequence> UnderstandingModel::Sequence(
    absl::Span<const int64_t> prefix_ids, absl::Span<const ImageFeature> features,
    absl::Span<const int64_t> instruction_ids, InstructionMask mask) const {
  std::vector<ImageGrid> grids;
  for (const ImageFeature& feature : features) grids.push_back(feature.grid);
  return BuildSequence(geometry_, prefix_ids, grids, instruction_ids, mask);
}

absl::Status UnderstandingModel::CheckFeatures(const PromptSequence& sequence,
                                               absl::Span<const ImageFeature> features) const {
  int64_t tokens = 0;
  for (size_t i = 0; i < features.size(); ++i) {
    const ImageFeature& feature = features[i];
    if (!feature.embeds.defined() || feature.embeds.size(0) != feature.grid.tokens() ||
        feature.deepstack.size() != geometry_.vision.deepstack_layers.size()) {
      return absl::InvalidArgumentError(absl::StrCat("image feature ", i, " is incomplete"));
    }
    tokens += feature.grid.tokens();
  }
  const auto wanted = static_cast<int64_t>(sequence.image_rows.size());
  if (tokens == wanted) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("features have ", tokens, " image tokens, the sequence has ", wanted));
}

absl::Status UnderstandingModel::Prefill(const PromptSequence& sequence,
                                         absl::Span<const ImageFeature> features,
                                         const LayerCallback& on_layer) const {
  AUTOMOT_RETURN_IF_ERROR(CheckFeatures(sequence, features));
  return CatchTorch("running the understanding expert",
                    [&] { return decoder_->Prefill(sequence, features, on_layer); });
}

absl::StatusOr<GenerateEnd> UnderstandingModel::Generate(const PromptSequence& sequence,
                                                         absl::Span<const ImageFeature> features,
                                                         const GenerateOptions& options,
                                                         const GenerateCallbacks& callbacks) const {
  AUTOMOT_RETURN_IF_ERROR(CheckFeatures(sequence, features));
  if (options.max_tokens < 1 || options.max_tokens > kMaxGeneratedTokens) {
    return absl::InvalidArgumentError(absl::StrCat("max_tokens is ", options.max_tokens,
                                                   ", must be in [1, ", kMaxGeneratedTokens, "]"));
  }
  return CatchTorch("generating text", [&]() -> absl::StatusOr<GenerateEnd> {
    TextDecoder::GenerationState state;
    at::Tensor logits = decoder_->StartGeneration(sequence, features, options.max_tokens, &state);
    for (int64_t i = 1;; ++i) {
      const int64_t id = logits.argmax().item<int64_t>();
      if (id == geometry_.tokens.im_end) return GenerateEnd::kEndOfText;
      if (callbacks.on_token && !callbacks.on_token(id)) return GenerateEnd::kCancelled;
      if (i >= options.max_tokens) return GenerateEnd::kLength;
      if (callbacks.before_token && !callbacks.before_token()) return GenerateEnd::kCancelled;
      logits = decoder_->Continue(id, &state);
    }
  });
}

}  // namespace automot::model
