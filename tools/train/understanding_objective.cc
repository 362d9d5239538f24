#include "common/model/text_decoder.h"
#include "common/model/vision_tower.h"
#include "common/status/status_macros.h"
#include "common/tokenizer/prompt.h"
#include "tools/train/losses.h"
#include "tools/train/objective.h"

namespace automot::train {
namespace {

// One question as the decoder reads it: everything causal, as for text generation (spec 2.5), with
// the true answer behind it.
struct Asked {
  model::PromptSequence sequence;
  std::vector<int64_t> rows;    // whose next token is the answer's
  std::vector<int64_t> labels;  // the answer and im_end
};

absl::StatusOr<Asked> Ask(const BatchLoader& loader, const QuestionSample& sample,
                          const std::vector<model::ImageGrid>& grids) {
  const model::Tokenizer& tokenizer = loader.tokenizer();
  Asked asked;
  AUTOMOT_ASSIGN_OR_RETURN(const auto prefix, tokenizer.Encode(model::kPromptPrefix));
  AUTOMOT_ASSIGN_OR_RETURN(auto words, tokenizer.Encode(sample.question->question, false));
  AUTOMOT_ASSIGN_OR_RETURN(const auto head, tokenizer.Encode(model::kAnswerHead));
  AUTOMOT_ASSIGN_OR_RETURN(asked.labels, tokenizer.Encode(sample.question->answer, false));
  words.insert(words.end(), head.begin(), head.end());
  words.insert(words.end(), asked.labels.begin(), asked.labels.end());
  asked.labels.push_back(loader.geometry().tokens.im_end);
  AUTOMOT_ASSIGN_OR_RETURN(asked.sequence,
                           model::BuildSequence(loader.geometry(), prefix, grids, words));
  asked.sequence.spans = {{asked.sequence.tokens(), model::SpanMode::kCausal}};
  const auto count = static_cast<int64_t>(asked.labels.size());
  for (int64_t i = 0; i < count; ++i) asked.rows.push_back(asked.sequence.tokens() - count + i);
  return asked;
}

class UnderstandingObjective final : public Objective {
 public:
  explicit UnderstandingObjective(int64_t batch) : batch_(batch) {}

  absl::StatusOr<StepResult> Run(const Parameters& parameters, const Sampler& sampler,
                                 BatchLoader& loader, int64_t step, bool) override {
    if (sampler.questions() == 0) return absl::NotFoundError("the dataset has no question");
    std::vector<QuestionSample> samples;
    std::vector<at::Tensor> patches;
    image::PatchGrid grid;
    for (int64_t i = 0; i < batch_; ++i) {
      samples.push_back(sampler.Ask(step, i));
      for (const FrameRef& frame : samples.back().history) {
        AUTOMOT_ASSIGN_OR_RETURN(const model::FramePatches cut, loader.Patches(frame, false));
        patches.push_back(cut.pixel_values);
        grid = cut.grid;
      }
    }
    ParameterSource source(parameters);
    AUTOMOT_ASSIGN_OR_RETURN(const auto vision, model::VisionTower::Load(source));
    AUTOMOT_ASSIGN_OR_RETURN(const auto decoder, model::TextDecoder::Load(source));
    const std::vector<model::ImageFeature> features =
        vision->Encode(at::cat(patches), grid.h, grid.w);
    return Score(*decoder, loader, samples, features);
  }

 private:
  static absl::StatusOr<StepResult> Score(const model::TextDecoder& decoder,
                                          const BatchLoader& loader,
                                          const std::vector<QuestionSample>& samples,
                                          absl::Span<const model::ImageFeature> features) {
    std::vector<Asked> asked;
    std::vector<std::vector<int64_t>> rows;
    std::vector<int64_t> labels;
    for (const QuestionSample& sample : samples) {
      const std::vector<model::ImageGrid> grids(sample.history.size(), features[0].grid);
      AUTOMOT_ASSIGN_OR_RETURN(asked.emplace_back(), Ask(loader, sample, grids));
      rows.push_back(asked.back().rows);
      labels.insert(labels.end(), asked.back().labels.begin(), asked.back().labels.end());
    }
    std::vector<model::SequenceInput> inputs;
    size_t begin = 0;
    for (size_t i = 0; i < samples.size(); ++i) {
      inputs.push_back({&asked[i].sequence, features.subspan(begin, samples[i].history.size())});
      begin += samples[i].history.size();
    }
    const at::Tensor logits = decoder.Score(inputs, rows);
    const at::Tensor wanted = at::tensor(labels, at::kLong).to(logits.device());
    const at::Tensor loss = TokenLoss(logits, wanted);
    const at::Tensor hits = logits.argmax(-1).eq(wanted).cpu();
    int64_t exact = 0, at = 0;
    for (const std::vector<int64_t>& own : rows) {
      const auto count = static_cast<int64_t>(own.size());
      exact += hits.narrow(0, at, count).all().item<bool>() ? 1 : 0;
      at += count;
    }
    return StepResult{
        loss,
        {{"token", loss.item<double>()},
         {"answers_exact", static_cast<double>(exact) / static_cast<double>(samples.size())}}};
  }

  const int64_t batch_;
};

}  // namespace

std::unique_ptr<Objective> MakeUnderstandingObjective(int64_t batch) {
  return std::make_unique<UnderstandingObjective>(batch);
}

}  // namespace automot::train
