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

// A token that the model wrote. It may be any, the image token included.
PromptSequence OneToken(int64_t id, int64_t position) {
  return {.ids = {id},
          .positions = {{{position}, {position}, {position}}},
          .spans = {{1, SpanMode::kCausal}},
          .next_position = position + 1};
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
        WeightReader reader(checkpoint, options, ModelPart::kUnderstanding);
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
                                         const LayerCallback& on_layer, ContextForm form) const {
  const SequenceInput input{&sequence, features};
  return PrefillBatch(
      {&input, 1},
      [&](size_t, int64_t layer, const at::Tensor& keys, const at::Tensor& values) {
        return on_layer(layer, keys, values);
      },
      form);
}

absl::Status UnderstandingModel::PrefillBatch(absl::Span<const SequenceInput> batch,
                                              const BatchLayerCallback& on_layer,
                                              ContextForm form) const {
  for (const SequenceInput& input : batch) {
    AUTOMOT_RETURN_IF_ERROR(CheckFeatures(*input.sequence, input.features));
  }
  if (batch.empty()) return absl::OkStatus();
  return CatchTorch("running the understanding expert",
                    [&] { return decoder_->Prefill(batch, form, on_layer); });
}

absl::StatusOr<std::shared_ptr<const Scene>> UnderstandingModel::PrefillScene(
    absl::Span<const int64_t> prefix_ids, absl::Span<const ImageFeature> features,
    const std::function<void()>& between_layers) const {
  std::vector<ImageGrid> grids;
  for (const ImageFeature& feature : features) grids.push_back(feature.grid);
  AUTOMOT_ASSIGN_OR_RETURN(PromptSequence sequence, BuildScene(geometry_, prefix_ids, grids));
  sequence.spans = {{sequence.tokens(), SpanMode::kCausal}};
  auto scene = std::make_shared<Scene>();
  scene->next_position_ = sequence.next_position;
  SequenceKeysValues& kept = scene->keys_values_;
  kept.tokens = sequence.tokens();
  AUTOMOT_RETURN_IF_ERROR(
      Prefill(sequence, features, [&](int64_t, const at::Tensor& keys, const at::Tensor& values) {
        // A copy, for a view would keep the whole projection alive.
        kept.keys.push_back(keys.clone());
        kept.values.push_back(values.clone());
        if (between_layers) between_layers();
        return absl::OkStatus();
      }));
  return std::shared_ptr<const Scene>(std::move(scene));
}

absl::StatusOr<std::unique_ptr<Generation>> UnderstandingModel::BeginAfter(
    std::shared_ptr<const Scene> scene, const SequenceInput& input,
    const GenerateOptions& options) const {
  AUTOMOT_RETURN_IF_ERROR(CheckFeatures(*input.sequence, input.features));
  AUTOMOT_RETURN_IF_ERROR(ValidateSampling(options.sampling));
  if (options.max_tokens < 1 || options.max_tokens > kMaxGeneratedTokens) {
    return absl::InvalidArgumentError(absl::StrCat("max_tokens is ", options.max_tokens,
                                                   ", must be in [1, ", kMaxGeneratedTokens, "]"));
  }
  return CatchTorch("reading a question", [&]() -> absl::StatusOr<std::unique_ptr<Generation>> {
    std::unique_ptr<Generation> generation(new Generation(std::move(scene), options));
    generation->own_ = decoder_->Reserve(input.sequence->tokens() + options.max_tokens);
    generation->next_position_ = input.sequence->next_position;
    const Continuation item{
        input, generation->scene_ == nullptr ? nullptr : &generation->scene_->keys_values_,
        &generation->own_};
    generation->Choose(decoder_->Extend({&item, 1})[0], geometry_.tokens.im_end);
    return generation;
  });
}

absl::StatusOr<std::unique_ptr<Generation>> UnderstandingModel::Begin(
    std::shared_ptr<const Scene> scene, absl::Span<const int64_t> question_ids,
    const GenerateOptions& options) const {
  AUTOMOT_ASSIGN_OR_RETURN(const PromptSequence question,
                           BuildContinuation(geometry_, scene->next_position(), question_ids));
  return BeginAfter(std::move(scene), {&question, {}}, options);
}

absl::Status UnderstandingModel::Advance(absl::Span<Generation* const> generations) const {
  std::vector<Generation*> going;
  std::vector<PromptSequence> tokens;
  for (Generation* generation : generations) {
    if (generation->end_) continue;
    going.push_back(generation);
    tokens.push_back(OneToken(*generation->token_, generation->next_position_++));
  }
  if (going.empty()) return absl::OkStatus();
  return CatchTorch("generating text", [&] {
    std::vector<Continuation> batch;
    for (size_t i = 0; i < going.size(); ++i) {
      const Scene* scene = going[i]->scene_.get();
      batch.push_back(
          {{&tokens[i], {}}, scene == nullptr ? nullptr : &scene->keys_values_, &going[i]->own_});
    }
    const at::Tensor logits = decoder_->Extend(batch);
    for (size_t i = 0; i < going.size(); ++i) {
      going[i]->Choose(logits[static_cast<int64_t>(i)], geometry_.tokens.im_end);
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<GenerateEnd> UnderstandingModel::Run(Generation& generation,
                                                    const GenerateCallbacks& callbacks) const {
  while (true) {
    if (generation.token() && callbacks.on_token && !callbacks.on_token(*generation.token())) {
      return GenerateEnd::kCancelled;
    }
    if (generation.end()) return *generation.end();
    if (callbacks.before_token && !callbacks.before_token()) return GenerateEnd::kCancelled;
    Generation* const one = &generation;
    AUTOMOT_RETURN_IF_ERROR(Advance({&one, 1}));
  }
}

absl::StatusOr<GenerateEnd> UnderstandingModel::Generate(const PromptSequence& sequence,
                                                         absl::Span<const ImageFeature> features,
                                                         const GenerateOptions& options,
                                                         const GenerateCallbacks& callbacks) const {
  AUTOMOT_ASSIGN_OR_RETURN(const std::unique_ptr<Generation> generation,
                           BeginAfter(nullptr, {&sequence, features}, options));
  return Run(*generation, callbacks);
}

absl::StatusOr<GenerateEnd> UnderstandingModel::Generate(std::shared_ptr<const Scene> scene,
                                                         absl::Span<const int64_t> question_ids,
                                                         const GenerateOptions& options,
                                                         const GenerateCallbacks& callbacks) const {
  AUTOMOT_ASSIGN_OR_RETURN(const std::unique_ptr<Generation> generation,
                           Begin(std::move(scene), question_ids, options));
  return Run(*generation, callbacks);
}

}  // namespace automot::model
