// Scene questions to the published model on the tiny checkpoint: sharing, ending, sampling, and
// refreshes in between.
#include <gtest/gtest.h>

#include <future>

#include "common/time/clock.h"
#include "common/tokenizer/utf8.h"
#include "services/reasoning/context_refresh.h"
#include "services/reasoning/reasoning_engine.h"
#include "services/reasoning/torch_understanding_expert.h"
#include "tests/fakes/recording_receiver.h"
#include "tests/fakes/slow_observations.h"
#include "tests/golden/golden_case.h"

namespace automot::reasoning {
namespace {

constexpr int kLayers = 4;

// Greedily the random model repeats a token that stands for nothing; sampled, it writes.
AskOptions Talkative(int max_tokens, uint64_t seed = 5) {
  return {.max_tokens = max_tokens, .sampling = {.temperature = 1.5, .seed = seed}};
}

ExpertFactory TinyFactory() {
  auto factory = TorchExpertFactory(
      {.checkpoint = golden::TinyDirectory(), .threads = 1, .publish_decisions = false});
  EXPECT_TRUE(factory.ok()) << factory.status();
  return *std::move(factory);
}

std::vector<CameraFramePtr> Frames(int count, SessionTimeUs first_us = 0) {
  std::vector<CameraFramePtr> frames;
  for (int i = 0; i < count; ++i) {
    const SessionTimeUs time = first_us + i * 250'000;
    frames.push_back(fakes::FlatFrame(time, static_cast<uint8_t>(time / 10'000)));
  }
  return frames;
}

struct Answer {
  std::vector<std::string> pieces;
  bool complete = false;
  int yields = 0;

  std::string text() const {
    std::string whole;
    for (const std::string& piece : pieces) whole += piece;
    return whole;
  }
};

class AskTest : public ::testing::Test {
 protected:
  AskTest() : expert_(*TinyFactory()()) {}

  VisionFeatures Encode(const std::vector<CameraFramePtr>& frames) {
    uint64_t hits = 0;
    auto features = EncodeFrames(frames, *expert_, cache_, &hits);
    EXPECT_TRUE(features.ok()) << features.status();
    return *std::move(features);
  }
  static Answer Ask(UnderstandingExpert& expert, const VisionFeatures& features,
                    const AskOptions& options, const std::string& question = "What is ahead?") {
    Answer answer;
    const auto complete = expert.Ask(
        question, features, options,
        [&](std::string_view piece) {
          answer.pieces.emplace_back(piece);
          return true;
        },
        [&] { ++answer.yields; });
    EXPECT_TRUE(complete.ok()) << complete.status();
    answer.complete = complete.value_or(false);
    return answer;
  }

  std::unique_ptr<UnderstandingExpert> expert_;
  VisionCache cache_;
};

TEST_F(AskTest, YieldsBetweenTheScenesLayersOnceAndBetweenTokensAlways) {
  const VisionFeatures features = Encode(Frames(4));
  const Answer first = Ask(*expert_, features, {.max_tokens = 5});
  ASSERT_FALSE(first.complete) << "the model ended by itself";
  EXPECT_EQ(first.yields, kLayers + 4);
  const Answer second = Ask(*expert_, features, {.max_tokens = 5});
  EXPECT_EQ(second.yields, 4) << "the scene is prefilled again";
  EXPECT_EQ(second.pieces, first.pieces);
}

TEST_F(AskTest, QuestionsOverOneSceneAreAnsweredAsByAnExpertOfTheirOwn) {
  const VisionFeatures features = Encode(Frames(4));
  for (const std::string question : {"What is ahead?", "Why?", "May I turn left here?"}) {
    const auto own = *TinyFactory()();
    EXPECT_EQ(Ask(*expert_, features, Talkative(16), question).pieces,
              Ask(*own, features, Talkative(16), question).pieces)
        << question;
  }
}

TEST_F(AskTest, AnotherSceneIsNotAnsweredFromTheFirst) {
  const VisionFeatures dark = Encode(Frames(4)), bright = Encode(Frames(4, 1'250'000));
  Ask(*expert_, dark, {.max_tokens = 8});
  const auto own = *TinyFactory()();
  EXPECT_EQ(Ask(*expert_, bright, Talkative(16)).pieces, Ask(*own, bright, Talkative(16)).pieces);
}

TEST_F(AskTest, EveryPieceIsWholeCharactersHoweverTheTokensCutThem) {
  const VisionFeatures features = Encode(Frames(4));
  int replaced = 0;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    const Answer answer = Ask(*expert_, features, Talkative(48, seed));
    for (const std::string& piece : answer.pieces) {
      EXPECT_EQ(model::LossyUtf8(piece), piece);
      replaced += piece.find("\uFFFD") != std::string::npos ? 1 : 0;
    }
  }
  EXPECT_GT(replaced, 0)
      << "the random model's tokens must hold cut characters for this to say much";
}

TEST_F(AskTest, SampledAnswersRepeatWithTheirSeed) {
  const VisionFeatures features = Encode(Frames(4));
  const auto sample = [&](uint64_t seed) {
    return Ask(*expert_, features,
               {.max_tokens = 12,
                .sampling = {.temperature = 0.8, .top_k = 40, .top_p = 0.95, .seed = seed}})
        .text();
  };
  EXPECT_EQ(sample(11), sample(11));
  EXPECT_NE(sample(11), sample(12));
}

TEST_F(AskTest, AStopStringEndsTheAnswerBeforeItselfAndCompletesIt) {
  const VisionFeatures features = Encode(Frames(4));
  AskOptions options = Talkative(40);
  const std::string whole = Ask(*expert_, features, options).text();
  ASSERT_GE(whole.size(), 8U) << whole;
  // From the middle of the text, at the begin of a character.
  std::size_t begin = whole.size() / 2;
  while ((static_cast<unsigned char>(whole[begin]) & 0xC0U) == 0x80U) --begin;
  const std::string stop = whole.substr(begin, 256);
  options.stop = {"not in it", stop};
  const Answer stopped = Ask(*expert_, features, options);
  EXPECT_EQ(stopped.text(), whole.substr(0, whole.find(stop)));
  EXPECT_TRUE(stopped.complete);
}

TEST_F(AskTest, AReceiverThatWantsNoMoreGetsNoMore) {
  const VisionFeatures features = Encode(Frames(4));
  int pieces = 0;
  const auto complete = expert_->Ask(
      "What is ahead?", features, Talkative(50), [&](std::string_view) { return ++pieces < 2; },
      [] {});
  ASSERT_TRUE(complete.ok());
  EXPECT_FALSE(*complete);
  EXPECT_EQ(pieces, 2);
}

std::vector<std::byte> Context(UnderstandingExpert& expert, const VisionFeatures& features) {
  const ContextPrompt prompt = {.target = {.current = {10.0, 1.0}, .next = {20.0, 2.0}},
                                .speed_mps = 5.0};
  const auto plan = expert.PlanContext(prompt, static_cast<int>(features.size()),
                                       context::ContextLayout::Kind::kCompact);
  EXPECT_TRUE(plan.ok()) << plan.status();
  auto buffer = *context::KvBuffer::Allocate(plan->layout);
  EXPECT_TRUE(expert.Prefill(*plan, features, buffer, [](int) {}).ok());
  std::vector<std::byte> bytes;
  for (int layer = 0; layer < plan->layout.layers; ++layer) {
    for (const auto tensor : {context::TensorKind::kKey, context::TensorKind::kValue}) {
      const auto part = buffer.Tensor(layer, tensor);
      bytes.insert(bytes.end(), part.begin(), part.end());
    }
  }
  return bytes;
}

// 4 Hz on the history grid: three of four frames stay.
TEST_F(AskTest, ARefreshEncodesOnlyNewFramesAndMakesTheSameContext) {
  Encode(Frames(4));
  uint64_t hits = 0;
  const auto moved = EncodeFrames(Frames(4, 250'000), *expert_, cache_, &hits);
  ASSERT_TRUE(moved.ok());
  EXPECT_EQ(hits, 3U);
  VisionCache empty;
  const auto anew = EncodeFrames(Frames(4, 250'000), *expert_, empty, &hits);
  ASSERT_TRUE(anew.ok());
  EXPECT_EQ(hits, 3U);
  EXPECT_EQ(Context(*expert_, *moved), Context(*expert_, *anew));
}

// Everything but the transport, with the real model: an observation that arrives with a token has
// its snapshot before the next one.
TEST(AskThroughTheEngine, ARefreshIsServedBetweenTwoTokens) {
  ManualClock clock;
  fakes::RecordingReceiver receiver;
  ReasoningOptions options;
  options.worker.publish_decisions = false;
  options.pool.prefault = false;
  ReasoningEngine engine(options, TinyFactory(), &clock);
  ASSERT_TRUE(engine.WaitUntilReady(absl::Seconds(60)).ok());
  ASSERT_TRUE(
      engine.Attach({.session = 1, .episode = 1, .epoch = 1, .session_name = "car"}, &receiver)
          .ok());
  ASSERT_TRUE(engine.Submit(fakes::SlowObservationAt(1, 0, 10)).ok());
  ASSERT_TRUE(receiver.WaitForSnapshots(1));

  std::vector<std::size_t> snapshots_at_piece;
  std::promise<absl::StatusOr<bool>> done;
  auto question = std::make_unique<SceneQuestion>();
  question->session = "car";
  question->question = "What is ahead?";
  question->options = Talkative(40);
  question->on_text = [&](std::string_view) {
    snapshots_at_piece.push_back(receiver.snapshots().size());
    const auto pieces = static_cast<SessionTimeUs>(snapshots_at_piece.size());
    EXPECT_TRUE(engine.Submit(fakes::SlowObservationAt(1, pieces * 500'000, 20)).ok());
    return true;
  };
  question->on_done = [&](absl::StatusOr<bool> complete) { done.set_value(std::move(complete)); };
  const auto asked = engine.Ask(std::move(question));
  ASSERT_TRUE(asked.ok()) << asked.status();
  EXPECT_EQ(*asked, 0) << "the capture time of the frame that is asked about";
  auto ended = done.get_future();
  ASSERT_EQ(ended.wait_for(std::chrono::seconds(60)), std::future_status::ready);
  ASSERT_TRUE(ended.get().ok());
  ASSERT_GE(snapshots_at_piece.size(), 3U);
  for (std::size_t i = 0; i < snapshots_at_piece.size(); ++i) {
    EXPECT_EQ(snapshots_at_piece[i], i + 1) << "before piece " << i;
  }
  engine.Detach(1);
}

}  // namespace
}  // namespace automot::reasoning
