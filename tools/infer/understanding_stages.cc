#include "tools/infer/understanding_stages.h"

#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/model/attention_mask.h"
#include "common/model/frame_encoder.h"
#include "common/model/rotary.h"
#include "common/status/status_macros.h"
#include "common/tokenizer/prompt.h"
#include "tools/infer/model_options.h"
#include "tools/infer/pictures.h"
#include "tools/infer/stage_timer.h"

namespace automot::infer {
namespace {

// After the question, whose own im_end is there already: the head of the answer (spec 2.5).
constexpr char kAnswerHead[] = "\n<|im_start|>assistant\n";

std::vector<int64_t> ToIds(const at::Tensor& tensor) {
  const int64_t* const ids = tensor.const_data_ptr<int64_t>();
  return {ids, ids + tensor.numel()};
}

absl::StatusOr<model::PromptIds> ReadPrompt(const model::Tokenizer& tokenizer,
                                            const InferOptions& options, const Inputs& inputs) {
  model::PromptIds ids;
  if (options.prompt.empty()) {
    ids.instruction = ToIds(inputs.Get("instruction_ids"));
  } else {
    AUTOMOT_ASSIGN_OR_RETURN(ids, model::BuildPromptIds(tokenizer, options.prompt));
  }
  if (inputs.Has("prefix_ids")) ids.prefix = ToIds(inputs.Get("prefix_ids"));
  return ids;
}

at::Tensor Positions(const model::PromptSequence& sequence) {
  std::vector<at::Tensor> axes;
  for (const std::vector<int64_t>& axis : sequence.positions) {
    axes.push_back(at::tensor(axis, at::kLong));
  }
  return at::stack(axes);
}

// Cosine and sine as the decoder uses them, both halves, the sine without its sign.
void AddRotary(const model::TextGeometry& text, const at::Tensor& positions, Outputs& outputs) {
  const model::RotaryTable table =
      model::MultiAxisRotary(text, at::kCPU).Tables(positions, at::kFloat);
  at::Tensor sin = table.signed_sin.squeeze(1).clone();
  sin.narrow(1, 0, text.head_dim / 2).neg_();
  outputs.Add("rope_cos", table.cos.squeeze(1));
  outputs.Add("rope_sin", sin);
}

void AddFeatures(const std::vector<model::ImageFeature>& features, Outputs& outputs) {
  std::vector<at::Tensor> embeds;
  for (const model::ImageFeature& feature : features) embeds.push_back(feature.embeds);
  outputs.Add("image_embeds", at::cat(embeds));
  for (size_t tap = 0; tap < features[0].deepstack.size(); ++tap) {
    std::vector<at::Tensor> taps;
    for (const model::ImageFeature& feature : features) taps.push_back(feature.deepstack[tap]);
    outputs.Add(absl::StrCat("deepstack_", tap), at::cat(taps));
  }
}

absl::Status CheckGrids(const at::Tensor& grid_thw, const at::Tensor& pixel_values) {
  AUTOMOT_RETURN_IF_ERROR(CheckAxes("grid_thw", grid_thw, {-1, 3}, "[images, 3]"));
  constexpr int64_t kMaxSide = model::UnderstandingModel::kMaxPatchesPerSide;
  int64_t patches = 0;
  for (int64_t i = 0; i < grid_thw.size(0); ++i) {
    const std::vector<int64_t> grid = ToIds(grid_thw[i]);
    if (grid[0] != 1 || grid[1] < 1 || grid[2] < 1 || grid[1] > kMaxSide || grid[2] > kMaxSide) {
      return absl::InvalidArgumentError(
          absl::StrCat("grid_thw[", i, "] is (", grid[0], ", ", grid[1], ", ", grid[2],
                       "), t must be 1, h and w in [1, ", kMaxSide, "]"));
    }
    patches += grid[1] * grid[2];
  }
  if (patches == pixel_values.size(0)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("pixel_values has ", pixel_values.size(0),
                                                 " patches, grid_thw wants ", patches));
}

}  // namespace

absl::StatusOr<UnderstandingStages> UnderstandingStages::Load(const model::Checkpoint& checkpoint,
                                                              const model::Tokenizer& tokenizer,
                                                              const InferOptions& options) {
  AUTOMOT_ASSIGN_OR_RETURN(const model::ModelOptions arithmetic, ModelOptionsOf(options));
  const StageTimer timer(options.timings, "load understanding expert");
  AUTOMOT_ASSIGN_OR_RETURN(auto model, model::UnderstandingModel::Load(checkpoint, arithmetic));
  return UnderstandingStages(tokenizer, options, std::move(model));
}

absl::StatusOr<Contexts> UnderstandingStages::Run(const StagePlan& plan, const Inputs& inputs,
                                                  Outputs& outputs) const {
  Pixels pixels;
  if (plan.pixels == PixelSource::kRawFrames) {
    AUTOMOT_ASSIGN_OR_RETURN(pixels, MakePixels(inputs.Get("raw_frames"), outputs));
  } else {
    pixels = {inputs.Get("pixel_values"), inputs.Get("grid_thw")};
  }
  AUTOMOT_ASSIGN_OR_RETURN(const Features features, Encode(pixels, outputs));
  if (plan.context != ContextSource::kPrefill) return Contexts{};
  AUTOMOT_ASSIGN_OR_RETURN(const model::PromptSequence sequence,
                           Sequence(inputs, features, outputs));
  if (options_->answer) AUTOMOT_RETURN_IF_ERROR(Answer(inputs, features, outputs));
  return Prefill(sequence, features, outputs);
}

absl::StatusOr<UnderstandingStages::Pixels> UnderstandingStages::MakePixels(
    const at::Tensor& raw_frames, Outputs& outputs) const {
  AUTOMOT_ASSIGN_OR_RETURN(std::vector<RgbImage> frames, ToPictures("raw_frames", raw_frames));
  AUTOMOT_ASSIGN_OR_RETURN(model::FrameEncoder encoder, model::FrameEncoder::Create(*model_));
  std::vector<const RgbImage*> resized;
  for (RgbImage& frame : frames) {
    AUTOMOT_ASSIGN_OR_RETURN(const RgbImage* const picture, encoder.Resize(frame));
    frame = *picture;
    resized.push_back(&frame);
  }
  AUTOMOT_ASSIGN_OR_RETURN(const model::FramePatches patches, encoder.Cut(resized));
  const at::Tensor grid = at::tensor({patches.grid.t, patches.grid.h, patches.grid.w}, at::kLong);
  const Pixels pixels{patches.pixel_values, grid.repeat({raw_frames.size(0), 1})};
  outputs.Add("resized_frames", ToTensor(frames));
  outputs.Add("pixel_values", pixels.values);
  outputs.Add("grid_thw", pixels.grid_thw);
  return pixels;
}

// Neighbouring images of one size go through the tower together.
absl::StatusOr<UnderstandingStages::Features> UnderstandingStages::Encode(const Pixels& pixels,
                                                                          Outputs& outputs) const {
  AUTOMOT_RETURN_IF_ERROR(CheckGrids(pixels.grid_thw, pixels.values));
  Features features;
  int64_t first_patch = 0;
  for (int64_t begin = 0, end = 0; begin < pixels.grid_thw.size(0); begin = end) {
    const at::Tensor grid = pixels.grid_thw[begin];
    while (end < pixels.grid_thw.size(0) && pixels.grid_thw[end].equal(grid)) ++end;
    const int64_t rows = grid[1].item<int64_t>(), cols = grid[2].item<int64_t>();
    const int64_t patches = (end - begin) * rows * cols;
    AUTOMOT_ASSIGN_OR_RETURN(
        Features encoded,
        model_->EncodePatches(pixels.values.narrow(0, first_patch, patches), rows, cols));
    for (model::ImageFeature& feature : encoded) features.push_back(std::move(feature));
    first_patch += patches;
  }
  AddFeatures(features, outputs);
  return features;
}

absl::StatusOr<model::PromptSequence> UnderstandingStages::Sequence(const Inputs& inputs,
                                                                    const Features& features,
                                                                    Outputs& outputs) const {
  AUTOMOT_ASSIGN_OR_RETURN(const model::PromptIds ids, ReadPrompt(*tokenizer_, *options_, inputs));
  const auto mask = options_->bidirectional_instruction ? model::InstructionMask::kBidirectional
                                                        : model::InstructionMask::kCausal;
  AUTOMOT_ASSIGN_OR_RETURN(model::PromptSequence sequence,
                           model_->Sequence(ids.prefix, features, ids.instruction, mask));
  const at::Tensor positions = Positions(sequence);
  outputs.Add("input_ids", at::tensor(sequence.ids, at::kLong));
  outputs.Add("position_ids", positions);
  outputs.Add("position_start", at::tensor({sequence.next_position}, at::kLong));
  outputs.Add("mask_allowed", model::AllowedBySpans(sequence.spans));
  AddRotary(model_->geometry().text, positions, outputs);
  return sequence;
}

absl::StatusOr<Contexts> UnderstandingStages::Prefill(const model::PromptSequence& sequence,
                                                      const Features& features,
                                                      Outputs& outputs) const {
  const model::ContextDims dims =
      model::DimsOf(model_->geometry(), options_->compact_context ? model::ContextForm::kCompact
                                                                  : model::ContextForm::kFull);
  std::vector<at::Tensor> keys, values;
  AUTOMOT_RETURN_IF_ERROR(
      model_->Prefill(sequence, features, [&](int64_t, const at::Tensor& k, const at::Tensor& v) {
        const model::LayerKeysValues layer = model::SelectForm(k, v, dims);
        keys.push_back(layer.keys.cpu().contiguous());
        values.push_back(layer.values.cpu().contiguous());
        return absl::OkStatus();
      }));
  Contexts contexts{
      .form = options_->compact_context ? model::ContextForm::kCompact : model::ContextForm::kFull,
      .keys = at::stack(keys).unsqueeze(0),
      .values = at::stack(values).unsqueeze(0),
      .position_starts = {sequence.next_position}};
  outputs.Add("k_cache", contexts.keys[0]);
  outputs.Add("v_cache", contexts.values[0]);
  return contexts;
}

absl::Status UnderstandingStages::Answer(const Inputs& inputs, const Features& features,
                                         Outputs& outputs) const {
  AUTOMOT_ASSIGN_OR_RETURN(model::PromptIds ids, ReadPrompt(*tokenizer_, *options_, inputs));
  AUTOMOT_ASSIGN_OR_RETURN(const std::vector<int64_t> head, tokenizer_->Encode(kAnswerHead));
  ids.instruction.insert(ids.instruction.end(), head.begin(), head.end());
  AUTOMOT_ASSIGN_OR_RETURN(const model::PromptSequence sequence,
                           model_->Sequence(ids.prefix, features, ids.instruction));
  std::vector<int64_t> answer;
  const model::GenerateCallbacks callbacks = {.on_token = [&](int64_t id) {
    answer.push_back(id);
    return true;
  }};
  AUTOMOT_RETURN_IF_ERROR(
      model_->Generate(sequence, features, {.max_tokens = options_->max_tokens}, callbacks)
          .status());
  outputs.Add("answer_ids", at::tensor(answer, at::kLong));
  outputs.Add("answer_input_ids", at::tensor(sequence.ids, at::kLong));
  std::printf("%s\n", tokenizer_->Decode(answer, /*skip_special=*/true).c_str());
  return absl::OkStatus();
}

}  // namespace automot::infer
