#include "services/reasoning/torch_understanding_expert.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/checkpoint/checkpoint.h"
#include "common/concurrency/thread_placement.h"
#include "common/model/context_export.h"
#include "common/model/frame_encoder.h"
#include "common/model/parse_options.h"
#include "common/model/understanding_model.h"
#include "common/status/status_macros.h"
#include "common/tokenizer/prompt.h"
#include "common/tokenizer/tokenizer.h"
#include "services/reasoning/answer_text.h"
#include "services/reasoning/torch_decision.h"

namespace automot::reasoning {
namespace {

using context::ContextLayout;
using context::TensorKind;

// A document's end: a model that writes it instead of the turn's end has nothing more to say.
constexpr char kEndOfText[] = "<|endoftext|>";

struct TorchFeature final : VisionFeature {
  model::ImageFeature feature;
};

std::vector<model::ImageFeature> Unwrap(const VisionFeatures& features) {
  std::vector<model::ImageFeature> unwrapped;
  for (const auto& feature : features) {
    unwrapped.push_back(static_cast<const TorchFeature&>(*feature).feature);
  }
  return unwrapped;
}

model::ContextForm FormOf(ContextLayout::Kind kind) {
  return kind == ContextLayout::Kind::kFull ? model::ContextForm::kFull
                                            : model::ContextForm::kCompact;
}

absl::Span<std::byte> Bytes(std::span<std::byte> bytes) { return {bytes.data(), bytes.size()}; }

class TorchUnderstandingExpert final : public UnderstandingExpert {
 public:
  static absl::StatusOr<std::unique_ptr<UnderstandingExpert>> Load(
      const TorchExpertOptions& options, const model::ModelOptions& model_options);

  const UnderstandingExpertInfo& info() const override { return info_; }
  absl::StatusOr<std::shared_ptr<const VisionFeature>> EncodeFrame(const RgbImage& image) override;
  absl::StatusOr<ContextPlan> PlanContext(const ContextPrompt& prompt, int image_count,
                                          ContextLayout::Kind kind) override;
  absl::Status PrefillBatch(
      absl::Span<const PrefillItem> batch,
      const std::function<void(std::size_t item, int layer)>& on_layer) override;
  absl::StatusOr<Decision> Decide(const ContextPlan& plan, const context::KvBuffer& keys_values,
                                  const DecisionInputs& inputs) override;
  absl::StatusOr<bool> Ask(std::string_view question, const VisionFeatures& features,
                           const AskOptions& options,
                           const std::function<bool(std::string_view)>& on_text,
                           const std::function<void()>& yield) override;

 private:
  TorchUnderstandingExpert(std::unique_ptr<const model::Tokenizer> tokenizer,
                           std::unique_ptr<const model::UnderstandingModel> model,
                           model::FrameEncoder frames, std::unique_ptr<TorchDecision> decision)
      : tokenizer_(std::move(tokenizer)),
        model_(std::move(model)),
        frames_(std::move(frames)),
        decision_(std::move(decision)) {}
  void Describe(const model::Checkpoint& checkpoint, bool bidirectional);
  ContextLayout::ElementType OwnType() const {
    return model_->options().dtype == at::kBFloat16 ? ContextLayout::ElementType::kBFloat16
                                                    : ContextLayout::ElementType::kFloat32;
  }
  absl::Status PrefillKind(absl::Span<const PrefillItem> batch, ContextLayout::Kind kind,
                           const std::function<void(std::size_t item, int layer)>& on_layer);
  absl::StatusOr<model::PromptSequence> SequenceOf(
      const PrefillItem& item, const std::vector<model::ImageFeature>& images) const;
  absl::StatusOr<std::vector<int64_t>> QuestionIds(std::string_view question) const;
  // The prefilled scene of the features, kept for the next question about them.
  absl::StatusOr<std::shared_ptr<const model::Scene>> SceneOf(const VisionFeatures& features,
                                                              const std::function<void()>& yield);

  UnderstandingExpertInfo info_;
  std::unique_ptr<const model::Tokenizer> tokenizer_;
  std::unique_ptr<const model::UnderstandingModel> model_;
  model::FrameEncoder frames_;
  std::unique_ptr<TorchDecision> decision_;  // null where decisions are not published
  std::vector<int64_t> stop_ids_;            // tokens that end a text besides im_end
  // Of the newest question. The features are held so that their addresses stay theirs.
  VisionFeatures scene_features_;
  std::shared_ptr<const model::Scene> scene_;
};

absl::StatusOr<std::unique_ptr<UnderstandingExpert>> TorchUnderstandingExpert::Load(
    const TorchExpertOptions& options, const model::ModelOptions& model_options) {
  at::set_num_threads(ThreadsFor(options));  // this thread's; the planner sets its own
  AUTOMOT_ASSIGN_OR_RETURN(
      const std::shared_ptr<const model::Checkpoint> checkpoint,
      model::Checkpoint::Open(options.checkpoint, {.use_ema = options.use_ema}));
  AUTOMOT_ASSIGN_OR_RETURN(auto tokenizer, model::Tokenizer::Load(checkpoint->tokenizer_path()));
  AUTOMOT_ASSIGN_OR_RETURN(auto model, model::UnderstandingModel::Load(*checkpoint, model_options));
  AUTOMOT_ASSIGN_OR_RETURN(model::FrameEncoder frames, model::FrameEncoder::Create(*model));
  std::unique_ptr<TorchDecision> decision;
  if (options.publish_decisions) {
    AUTOMOT_ASSIGN_OR_RETURN(decision, TorchDecision::Load(*checkpoint, *tokenizer, model_options));
  }
  std::unique_ptr<TorchUnderstandingExpert> expert(new TorchUnderstandingExpert(
      std::move(tokenizer), std::move(model), std::move(frames), std::move(decision)));
  expert->Describe(*checkpoint, options.bidirectional_instruction);
  expert->info_.element_type = expert->OwnType();
  if (const auto id = expert->tokenizer_->TokenId(kEndOfText)) expert->stop_ids_.push_back(*id);
  return expert;
}

void TorchUnderstandingExpert::Describe(const model::Checkpoint& checkpoint, bool bidirectional) {
  const model::ModelGeometry& geometry = checkpoint.geometry();
  info_ = {.model_revision = std::string(checkpoint.revision()),
           .prompt_template = std::string(model::kPromptTemplate),
           .weights_trained = geometry.weights_trained,
           .bidirectional_instruction = bidirectional,
           .history_frames = static_cast<int>(geometry.driving.history_frames),
           .history_spacing_us =
               static_cast<SessionTimeUs>(geometry.driving.history_spacing_s * 1e6 + 0.5),
           .num_layers = static_cast<int>(geometry.text.layers),
           .camera_width = static_cast<int>(geometry.preprocess.camera_width),
           .camera_height = static_cast<int>(geometry.preprocess.camera_height)};
}

absl::StatusOr<std::shared_ptr<const VisionFeature>> TorchUnderstandingExpert::EncodeFrame(
    const RgbImage& image) {
  auto feature = std::make_shared<TorchFeature>();
  AUTOMOT_ASSIGN_OR_RETURN(feature->feature, frames_.Encode(image));
  return std::shared_ptr<const VisionFeature>(std::move(feature));
}

absl::StatusOr<ContextPlan> TorchUnderstandingExpert::PlanContext(const ContextPrompt& prompt,
                                                                  int image_count,
                                                                  ContextLayout::Kind kind) {
  const model::ModelGeometry& geometry = model_->geometry();
  AUTOMOT_ASSIGN_OR_RETURN(
      const std::string instruction,
      model::FormatInstruction({prompt.target.current, prompt.target.next}, prompt.speed_mps));
  AUTOMOT_ASSIGN_OR_RETURN(model::PromptIds ids, model::BuildPromptIds(*tokenizer_, instruction));
  const int64_t cell = geometry.vision.patch * geometry.vision.merge;
  const std::vector<model::ImageGrid> grids(static_cast<std::size_t>(std::max(0, image_count)),
                                            {.rows = geometry.preprocess.frame_height / cell,
                                             .cols = geometry.preprocess.frame_width / cell});
  AUTOMOT_ASSIGN_OR_RETURN(const model::PromptSequence sequence,
                           model::BuildSequence(geometry, ids.prefix, grids, ids.instruction));
  const model::ContextDims dims = model::DimsOf(geometry, FormOf(kind));
  ContextPlan plan;
  plan.prefix_ids = std::move(ids.prefix);
  plan.instruction_ids = std::move(ids.instruction);
  plan.image_count = image_count;
  plan.layout = {.kind = kind,
                 .element_type = OwnType(),
                 .layers = static_cast<int>(dims.layers),
                 .tokens = static_cast<int>(sequence.tokens()),
                 .kv_heads = static_cast<int>(dims.kv_heads),
                 .k_head_dim = static_cast<int>(dims.key_dim),
                 .v_head_dim = static_cast<int>(dims.value_dim)};
  plan.position_start = sequence.next_position;
  return plan;
}

absl::StatusOr<model::PromptSequence> TorchUnderstandingExpert::SequenceOf(
    const PrefillItem& item, const std::vector<model::ImageFeature>& images) const {
  const ContextPlan& plan = *item.plan;
  const auto mask = info_.bidirectional_instruction ? model::InstructionMask::kBidirectional
                                                    : model::InstructionMask::kCausal;
  AUTOMOT_ASSIGN_OR_RETURN(model::PromptSequence sequence,
                           model_->Sequence(plan.prefix_ids, images, plan.instruction_ids, mask));
  if (sequence.tokens() == plan.layout.tokens) return sequence;
  return absl::InternalError(absl::StrCat("the sequence has ", sequence.tokens(),
                                          " tokens; the plan said ", plan.layout.tokens));
}

// One run takes contexts of one form: those of another follow in a run of their own.
absl::Status TorchUnderstandingExpert::PrefillBatch(
    absl::Span<const PrefillItem> batch,
    const std::function<void(std::size_t item, int layer)>& on_layer) {
  for (const auto kind : {ContextLayout::Kind::kCompact, ContextLayout::Kind::kFull}) {
    AUTOMOT_RETURN_IF_ERROR(PrefillKind(batch, kind, on_layer));
  }
  return absl::OkStatus();
}

absl::Status TorchUnderstandingExpert::PrefillKind(
    absl::Span<const PrefillItem> batch, ContextLayout::Kind kind,
    const std::function<void(std::size_t item, int layer)>& on_layer) {
  std::vector<std::size_t> items;  // of this kind
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (batch[i].plan->layout.kind == kind) items.push_back(i);
  }
  std::vector<std::vector<model::ImageFeature>> images;
  std::vector<model::PromptSequence> sequences;
  for (const std::size_t i : items) {
    images.push_back(Unwrap(*batch[i].features));
    AUTOMOT_ASSIGN_OR_RETURN(sequences.emplace_back(), SequenceOf(batch[i], images.back()));
  }
  std::vector<model::SequenceInput> inputs;
  for (std::size_t i = 0; i < items.size(); ++i) inputs.push_back({&sequences[i], images[i]});
  const model::ContextForm form = FormOf(kind);
  const model::ContextDims dims = model::DimsOf(model_->geometry(), form);
  return model_->PrefillBatch(
      inputs,
      [&](std::size_t input, int64_t layer, const at::Tensor& keys,
          const at::Tensor& values) -> absl::Status {
        const int index = static_cast<int>(layer);
        context::KvBuffer& buffer = *batch[items[input]].keys_values;
        AUTOMOT_RETURN_IF_ERROR(model::CopyLayer(model::SelectForm(keys, values, dims),
                                                 model_->options().dtype,
                                                 Bytes(buffer.Tensor(index, TensorKind::kKey)),
                                                 Bytes(buffer.Tensor(index, TensorKind::kValue))));
        on_layer(items[input], index);
        return absl::OkStatus();
      },
      form);
}

absl::StatusOr<Decision> TorchUnderstandingExpert::Decide(const ContextPlan& plan,
                                                          const context::KvBuffer& keys_values,
                                                          const DecisionInputs& inputs) {
  if (decision_ == nullptr) {
    return absl::UnimplementedError("decisions are not published: --publish-decisions is off");
  }
  return decision_->Decide(plan, keys_values, inputs);
}

absl::StatusOr<std::vector<int64_t>> TorchUnderstandingExpert::QuestionIds(
    std::string_view question) const {
  AUTOMOT_ASSIGN_OR_RETURN(std::vector<int64_t> ids, tokenizer_->Encode(question, false));
  AUTOMOT_ASSIGN_OR_RETURN(const std::vector<int64_t> head, tokenizer_->Encode(model::kAnswerHead));
  ids.insert(ids.end(), head.begin(), head.end());
  return ids;
}

absl::StatusOr<std::shared_ptr<const model::Scene>> TorchUnderstandingExpert::SceneOf(
    const VisionFeatures& features, const std::function<void()>& yield) {
  if (scene_ != nullptr && scene_features_ == features) return scene_;
  scene_ = nullptr;  // before the next one takes memory
  AUTOMOT_ASSIGN_OR_RETURN(const std::vector<int64_t> prefix,
                           tokenizer_->Encode(model::kPromptPrefix));
  AUTOMOT_ASSIGN_OR_RETURN(scene_, model_->PrefillScene(prefix, Unwrap(features), yield));
  scene_features_ = features;
  return scene_;
}

absl::StatusOr<bool> TorchUnderstandingExpert::Ask(
    std::string_view question, const VisionFeatures& features, const AskOptions& options,
    const std::function<bool(std::string_view)>& on_text, const std::function<void()>& yield) {
  AUTOMOT_ASSIGN_OR_RETURN(const std::vector<int64_t> ids, QuestionIds(question));
  AUTOMOT_ASSIGN_OR_RETURN(std::shared_ptr<const model::Scene> scene, SceneOf(features, yield));
  AnswerText text(*tokenizer_, options.stop, on_text);
  const model::GenerateCallbacks callbacks = {.on_token = [&](int64_t id) { return text.Take(id); },
                                              .before_token =
                                                  [&] {
                                                    yield();
                                                    return true;
                                                  }};
  AUTOMOT_ASSIGN_OR_RETURN(
      const model::GenerateEnd end,
      model_->Generate(
          std::move(scene), ids,
          {.max_tokens = options.max_tokens, .sampling = options.sampling, .stop_ids = stop_ids_},
          callbacks));
  if (end != model::GenerateEnd::kCancelled) text.Flush();
  return end == model::GenerateEnd::kEndOfText || text.stopped();
}

}  // namespace

int ThreadsFor(const TorchExpertOptions& options) {
  return options.threads > 0 ? options.threads : std::max(1, AvailableCores() - 1);
}

absl::StatusOr<ExpertFactory> TorchExpertFactory(const TorchExpertOptions& options) {
  if (options.checkpoint.empty()) {
    return absl::InvalidArgumentError("--checkpoint is missing; it names a checkpoint directory");
  }
  AUTOMOT_ASSIGN_OR_RETURN(const model::ModelOptions model_options,
                           model::ParseModelOptions(options.dtype, options.device));
  return ExpertFactory(
      [options, model_options] { return TorchUnderstandingExpert::Load(options, model_options); });
}

}  // namespace automot::reasoning
