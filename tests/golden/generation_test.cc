// Text generation on the tiny checkpoint: one scene for several questions, batches, sampling, stop
// rules.
#include <gtest/gtest.h>

#include "common/tokenizer/prompt.h"
#include "tests/golden/understanding_fixture.h"

namespace automot::golden {
namespace {

using model::GenerateEnd;
using model::GenerateOptions;
using model::Generation;
using model::InstructionMask;
using model::Scene;

// Between two ways to the same logits: README.md's tolerance of logits.
constexpr double kLogitTolerance = 1e-4;
constexpr int64_t kTokens = 12;

template <typename T>
T Get(absl::StatusOr<T> value) {
  EXPECT_TRUE(value.ok()) << value.status();
  return std::move(value).value();
}

// Every step of one generation.
struct Text {
  std::vector<int64_t> ids;
  std::vector<at::Tensor> logits;
  std::optional<GenerateEnd> end;
};
void Note(const Generation& generation, Text* text) {
  text->logits.push_back(generation.logits().clone());
  if (generation.token()) text->ids.push_back(*generation.token());
  text->end = generation.end();
}
Text Finish(Generation* generation) {
  Text text;
  Note(*generation, &text);
  while (!generation->end()) {
    EXPECT_TRUE(TinyUnderstandingModel().Advance({&generation, 1}).ok());
    Note(*generation, &text);
  }
  return text;
}
void ExpectSame(const Text& a, const Text& b, const std::string& what) {
  EXPECT_EQ(a.ids, b.ids) << what;
  EXPECT_EQ(a.end, b.end) << what;
  ASSERT_EQ(a.logits.size(), b.logits.size()) << what;
  for (size_t i = 0; i < a.logits.size(); ++i) {
    ExpectClose(a.logits[i], b.logits[i], kLogitTolerance, what + " step " + std::to_string(i));
  }
}

class GenerationTest : public testing::Test {
 protected:
  GenerationTest()
      : a_(RunSlowPath(GoldenCase("b_slow_A"), InstructionMask::kCausal)),
        b_(RunSlowPath(GoldenCase("b_slow_B"), InstructionMask::kCausal)),
        prefix_(Get(TinyTokenizer().Encode(model::kPromptPrefix))) {}

  static std::vector<int64_t> Question(const std::string& text) {
    return Get(TinyTokenizer().Encode(text + "<|im_end|>\n<|im_start|>assistant\n"));
  }
  std::shared_ptr<const Scene> SceneOf(const Context& context) const {
    return Get(TinyUnderstandingModel().PrefillScene(prefix_, context.features));
  }
  static Text Answer(const std::shared_ptr<const Scene>& scene, const std::string& question,
                     const GenerateOptions& options = {.max_tokens = kTokens}) {
    return Finish(Get(TinyUnderstandingModel().Begin(scene, Question(question), options)).get());
  }

  const Context a_, b_;
  const std::vector<int64_t> prefix_;
};

// What a question would get with a prefill of its own, scene included.
TEST_F(GenerationTest, QuestionsOverOneSceneAreAnsweredAsAlone) {
  const std::shared_ptr<const Scene> scene = SceneOf(a_);
  for (const std::string question : {"What is ahead?", "Why do you stop here, and for how long?"}) {
    const std::vector<int64_t> ids = Question(question);
    const auto whole = Get(TinyUnderstandingModel().Sequence(prefix_, a_.features, ids));
    std::vector<int64_t> alone;
    const GenerateEnd end = Get(TinyUnderstandingModel().Generate(
        whole, a_.features, {.max_tokens = kTokens}, {.on_token = [&](int64_t id) {
          alone.push_back(id);
          return true;
        }}));
    const Text shared = Answer(scene, question);
    EXPECT_EQ(shared.ids, alone) << question;
    EXPECT_EQ(shared.end, end);
    EXPECT_EQ(scene->tokens() + static_cast<int64_t>(ids.size()), whole.tokens());
  }
}

TEST_F(GenerationTest, AnAnswerLeavesTheSceneAsItWas) {
  const std::shared_ptr<const Scene> scene = SceneOf(a_);
  const Text first = Answer(scene, "What is ahead?");
  Answer(scene, "Why?");
  const Text again = Answer(scene, "What is ahead?");
  ASSERT_EQ(first.ids, again.ids);
  for (size_t i = 0; i < first.logits.size(); ++i) {
    EXPECT_TRUE(at::equal(first.logits[i], again.logits[i])) << "step " << i;
  }
}

TEST_F(GenerationTest, ABatchOfDifferentScenesAndLengthsIsTheSameAsOneByOne) {
  struct Item {
    std::shared_ptr<const Scene> scene;
    std::string question;
    GenerateOptions options;
  };
  const std::shared_ptr<const Scene> a = SceneOf(a_), b = SceneOf(b_);
  ASSERT_NE(a->tokens(), b->tokens());
  const std::vector<Item> items = {
      {a, "What is ahead?", {.max_tokens = kTokens}},
      {b, "Why?", {.max_tokens = 3}},  // ends before the others
      {a, "Is it safe to turn left?", {.max_tokens = kTokens, .sampling = {.temperature = 1.0}}},
      {b, "What is ahead, and how far?", {.max_tokens = kTokens}}};
  std::vector<std::unique_ptr<Generation>> owned;
  std::vector<Generation*> batch;
  std::vector<Text> together(items.size());
  for (const Item& item : items) {
    owned.push_back(
        Get(TinyUnderstandingModel().Begin(item.scene, Question(item.question), item.options)));
    batch.push_back(owned.back().get());
    Note(*batch.back(), &together[batch.size() - 1]);
  }
  for (int64_t step = 1; step < kTokens; ++step) {
    std::vector<bool> going;
    for (const Generation* generation : batch) going.push_back(!generation->end());
    ASSERT_TRUE(TinyUnderstandingModel().Advance(batch).ok());
    for (size_t i = 0; i < batch.size(); ++i) {
      if (going[i]) Note(*batch[i], &together[i]);
    }
  }
  for (size_t i = 0; i < items.size(); ++i) {
    ExpectSame(together[i], Answer(items[i].scene, items[i].question, items[i].options),
               "item " + std::to_string(i));
  }
}

TEST_F(GenerationTest, ASceneMayBeTextAloneButNotNothing) {
  const auto text_only = Get(TinyUnderstandingModel().PrefillScene(prefix_, {}));
  EXPECT_NE(Answer(text_only, "What is ahead?").ids, Answer(SceneOf(a_), "What is ahead?").ids);
  EXPECT_EQ(TinyUnderstandingModel().PrefillScene({}, {}).status(),
            absl::InvalidArgumentError("the scene has neither prefix_ids nor an image"));
  EXPECT_EQ(TinyUnderstandingModel().Begin(text_only, {}, {}).status(),
            absl::InvalidArgumentError("ids is empty"));
}

TEST_F(GenerationTest, SamplingIsReproducibleAndDependsOnTheSeed) {
  const std::shared_ptr<const Scene> scene = SceneOf(a_);
  const auto sample = [&](uint64_t seed) {
    return Answer(scene, "What is ahead?",
                  {.max_tokens = kTokens,
                   .sampling = {.temperature = 1.0, .top_k = 50, .top_p = 0.95, .seed = seed}})
        .ids;
  };
  EXPECT_EQ(sample(1), sample(1));
  EXPECT_NE(sample(1), sample(2));
  // One candidate is greedy, whatever the seed.
  EXPECT_EQ(Answer(scene, "Why?",
                   {.max_tokens = kTokens, .sampling = {.temperature = 1.0, .top_k = 1, .seed = 3}})
                .ids,
            Answer(scene, "Why?").ids);
}

TEST_F(GenerationTest, EndsAtMaxTokensOrAtAStopId) {
  const std::shared_ptr<const Scene> scene = SceneOf(a_);
  const Text whole = Answer(scene, "What is ahead?");
  ASSERT_GE(whole.ids.size(), 3U);
  const Text cut = Answer(scene, "What is ahead?", {.max_tokens = 2});
  EXPECT_EQ(cut.end, GenerateEnd::kLength);
  EXPECT_EQ(cut.ids, std::vector<int64_t>(whole.ids.begin(), whole.ids.begin() + 2));
  const Text stopped =
      Answer(scene, "What is ahead?", {.max_tokens = kTokens, .stop_ids = {whole.ids[0]}});
  EXPECT_EQ(stopped.end, GenerateEnd::kEndOfText);
  EXPECT_TRUE(stopped.ids.empty());
}

TEST_F(GenerationTest, OptionsAreChecked) {
  const std::shared_ptr<const Scene> scene = SceneOf(a_);
  const auto begin = [&](const GenerateOptions& options) {
    return TinyUnderstandingModel().Begin(scene, Question("Why?"), options).status();
  };
  EXPECT_EQ(begin({.max_tokens = 0}),
            absl::InvalidArgumentError("max_tokens is 0, must be in [1, 8192]"));
  EXPECT_EQ(begin({.sampling = {.temperature = 1.0, .top_p = 2.0}}),
            absl::InvalidArgumentError("top_p is 2, must be in (0, 1]"));
  const std::vector<int64_t> outside = {1 << 20};
  EXPECT_TRUE(absl::IsInvalidArgument(TinyUnderstandingModel().Begin(scene, outside, {}).status()));
}

struct Stack {
  std::vector<at::Tensor> keys, values;
};

// Two sessions with 137 and 129 tokens in one run; each against the reference.
TEST_F(GenerationTest, ContextsOfABatchAgreeWithTheReferenceEach) {
  const std::vector<model::SequenceInput> batch = {{&a_.sequence, a_.features},
                                                   {&b_.sequence, b_.features}};
  std::array<Stack, 2> stacks;
  ASSERT_TRUE(
      TinyUnderstandingModel()
          .PrefillBatch(batch,
                        [&](size_t item, int64_t, const at::Tensor& k, const at::Tensor& v) {
                          stacks.at(item).keys.push_back(k.clone());
                          stacks.at(item).values.push_back(v.clone());
                          return absl::OkStatus();
                        })
          .ok());
  for (size_t item = 0; item < 2; ++item) {
    const GoldenCase golden(item == 0 ? "b_slow_A" : "b_slow_B");
    ExpectClose(at::stack(stacks.at(item).keys), golden.Expected("k_cache"), kCacheTolerance,
                "k_cache");
    ExpectClose(at::stack(stacks.at(item).values), golden.Expected("v_cache"), kCacheTolerance,
                "v_cache");
  }
}

// The last layer's projection is cut to what the compact form keeps.
TEST_F(GenerationTest, ACompactPrefillKeepsWhatTheActionExpertReads) {
  const model::ContextDims dims =
      model::DimsOf(TinyCheckpoint().geometry(), model::ContextForm::kCompact);
  Stack compact;
  int64_t last_values = 0;
  ASSERT_TRUE(TinyUnderstandingModel()
                  .Prefill(
                      a_.sequence, a_.features,
                      [&](int64_t, const at::Tensor& k, const at::Tensor& v) {
                        const auto kept = model::SelectForm(k, v, dims);
                        compact.keys.push_back(kept.keys.clone());
                        compact.values.push_back(kept.values.clone());
                        last_values = v.numel();
                        return absl::OkStatus();
                      },
                      model::ContextForm::kCompact)
                  .ok());
  EXPECT_EQ(last_values, a_.sequence.tokens() * dims.kv_heads * dims.value_dim);
  const GoldenCase golden("b_slow_A");
  const auto expected = [&](const char* name, int64_t width) {
    return golden.Expected(name).narrow(2, 0, dims.kv_heads).narrow(3, 0, width);
  };
  ExpectClose(at::stack(compact.keys), expected("k_cache", dims.key_dim), kCacheTolerance, "keys");
  ExpectClose(at::stack(compact.values), expected("v_cache", dims.value_dim), kCacheTolerance,
              "values");
}

}  // namespace
}  // namespace automot::golden
