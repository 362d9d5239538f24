// The service's expert on the tiny checkpoint, from camera frames to keys, values, decision and
// answers.
#include "services/reasoning/torch_understanding_expert.h"

#include <gtest/gtest.h>

#include "common/control/decision_parser.h"
#include "common/model/decision_decoder.h"
#include "common/model/lexicon.h"
#include "tests/golden/golden_case.h"

namespace automot::reasoning {
namespace {

using context::ContextLayout;
using context::TensorKind;
using golden::GoldenCase;

std::unique_ptr<UnderstandingExpert> Load(TorchExpertOptions options = {}) {
  options.checkpoint = golden::TinyDirectory();
  auto factory = TorchExpertFactory(options);
  EXPECT_TRUE(factory.ok()) << factory.status();
  auto expert = (*factory)();
  EXPECT_TRUE(expert.ok()) << expert.status();
  return *std::move(expert);
}

RgbImage ToImage(const at::Tensor& picture) {
  const at::Tensor bytes = picture.contiguous();
  const auto* data = bytes.data_ptr<uint8_t>();
  return {.width = static_cast<int>(bytes.size(1)),
          .height = static_cast<int>(bytes.size(0)),
          .pixels = std::vector<uint8_t>(data, data + bytes.numel())};
}

// Of b_slow_A's text.
ContextPrompt PromptOfCaseA() {
  return {.target = {.current = {12.345678, -3.217654}, .next = {48.112233, 5.554433}},
          .speed_mps = 7.31};
}

struct Context {
  ContextPlan plan;
  context::KvBuffer keys_values;
  VisionFeatures features;
  std::vector<int> layers;
};

Context RunCaseA(UnderstandingExpert& expert, const GoldenCase& golden, ContextLayout::Kind kind) {
  Context result;
  const at::Tensor frames = golden.Input("raw_frames");
  for (int64_t i = 0; i < frames.size(0); ++i) {
    auto feature = expert.EncodeFrame(ToImage(frames[i]));
    EXPECT_TRUE(feature.ok()) << feature.status();
    result.features.push_back(*std::move(feature));
  }
  auto plan = expert.PlanContext(PromptOfCaseA(), 4, kind);
  EXPECT_TRUE(plan.ok()) << plan.status();
  result.plan = *std::move(plan);
  result.keys_values = *context::KvBuffer::Allocate(result.plan.layout);
  const absl::Status status = expert.Prefill(result.plan, result.features, result.keys_values,
                                             [&](int layer) { result.layers.push_back(layer); });
  EXPECT_TRUE(status.ok()) << status;
  return result;
}

at::Tensor Stack(const context::KvBuffer& buffer, TensorKind tensor) {
  const ContextLayout& layout = buffer.layout();
  const int64_t dim = tensor == TensorKind::kKey ? layout.k_head_dim : layout.v_head_dim;
  std::vector<at::Tensor> layers;
  for (int layer = 0; layer < layout.layers; ++layer) {
    void* data = const_cast<std::byte*>(buffer.Tensor(layer, tensor).data());
    layers.push_back(at::from_blob(data, {layout.tokens, layout.kv_heads, dim}, at::kFloat));
  }
  return at::stack(layers);
}

// What the reference's logits say within the lexicon.
Decision ExpectedDecision(const at::Tensor& logits, SessionTimeUs capture_time_us) {
  const model::ModelGeometry& geometry = golden::TinyCheckpoint().geometry();
  const model::Lexicon lexicon =
      model::MakeLexicon(golden::TinyTokenizer(), geometry.tokens, geometry.driving.lexicon);
  EXPECT_TRUE(lexicon.usable()) << lexicon.why_full;
  const at::Tensor candidates = at::tensor(lexicon.ids, at::kLong);
  const at::Tensor probabilities = at::softmax(logits.index_select(1, candidates), 1);
  const auto [best, index] = at::max(probabilities, 1);
  const at::Tensor ids = candidates.index_select(0, index).contiguous();
  const auto count = static_cast<std::size_t>(ids.numel());
  const model::DecisionText text =
      model::DecodeDecision({ids.data_ptr<int64_t>(), count}, {best.data_ptr<float>(), count},
                            geometry.tokens, golden::TinyTokenizer());
  return control::ParseDecision(text.text, capture_time_us, geometry.driving.decision_offsets_s,
                                text.part_probabilities);
}

TEST(TorchUnderstandingExpert, TellsWhatTheCheckpointIs) {
  const auto expert = Load();
  EXPECT_EQ(expert->info().model_revision, golden::TinyCheckpoint().revision());
  EXPECT_EQ(expert->info().prompt_template, "automot-v1");
  EXPECT_EQ(expert->info().history_frames, 4);
  EXPECT_EQ(expert->info().history_spacing_us, 250'000);
  EXPECT_EQ(expert->info().camera_width, 128);
  EXPECT_EQ(expert->info().camera_height, 96);
}

TEST(TorchUnderstandingExpert, PlanKnowsTheSequenceBeforeTheWork) {
  const auto expert = Load();
  const GoldenCase golden("b_slow_A");
  const auto plan = expert->PlanContext(PromptOfCaseA(), 4, ContextLayout::Kind::kCompact);
  ASSERT_TRUE(plan.ok()) << plan.status();
  golden::ExpectEqual(at::tensor(plan->prefix_ids, at::kLong), golden.Input("prefix_ids"),
                      "prefix_ids");
  golden::ExpectEqual(at::tensor(plan->instruction_ids, at::kLong), golden.Input("instruction_ids"),
                      "instruction_ids");
  EXPECT_EQ(plan->layout.tokens, 137);
  EXPECT_EQ(plan->layout.kv_heads, 1);
  EXPECT_EQ(plan->layout.v_head_dim, 20);
  EXPECT_EQ(plan->position_start, golden.json().at("next_position").get<int64_t>());
}

TEST(TorchUnderstandingExpert, KeysAndValuesAreTheReferencesInBothLayouts) {
  const auto expert = Load();
  const GoldenCase golden("b_slow_A");
  const at::Tensor keys = golden.Expected("k_cache"), values = golden.Expected("v_cache");
  const Context full = RunCaseA(*expert, golden, ContextLayout::Kind::kFull);
  EXPECT_EQ(full.layers, (std::vector<int>{0, 1, 2, 3}));
  golden::ExpectClose(Stack(full.keys_values, TensorKind::kKey), keys, golden::kCacheTolerance,
                      "full keys");
  golden::ExpectClose(Stack(full.keys_values, TensorKind::kValue), values, golden::kCacheTolerance,
                      "full values");
  const Context compact = RunCaseA(*expert, golden, ContextLayout::Kind::kCompact);
  golden::ExpectClose(Stack(compact.keys_values, TensorKind::kKey), keys.narrow(2, 0, 1),
                      golden::kCacheTolerance, "keys");
  golden::ExpectClose(Stack(compact.keys_values, TensorKind::kValue),
                      values.narrow(2, 0, 1).narrow(3, 0, 20), golden::kCacheTolerance, "values");
}

// Prompts of unlike lengths and both layouts in one run, each as alone.
TEST(TorchUnderstandingExpert, ABatchGivesEachWhatItWouldGetAlone) {
  const auto expert = Load();
  const Context first = RunCaseA(*expert, GoldenCase("b_slow_A"), ContextLayout::Kind::kCompact);
  const auto plan_at = [&](double x, ContextLayout::Kind kind) {
    return *expert->PlanContext(
        {.target = {.current = {x, -3.2}, .next = {148.1, 5.5}}, .speed_mps = 0.0}, 4, kind);
  };
  const std::vector<ContextPlan> plans = {plan_at(1.0, ContextLayout::Kind::kCompact), first.plan,
                                          plan_at(-1234.5678, ContextLayout::Kind::kFull)};
  std::vector<context::KvBuffer> alone, together;
  std::vector<PrefillItem> batch;
  together.reserve(plans.size());
  for (const ContextPlan& plan : plans) {
    alone.push_back(*context::KvBuffer::Allocate(plan.layout));
    together.push_back(*context::KvBuffer::Allocate(plan.layout));
    ASSERT_TRUE(expert->Prefill(plan, first.features, alone.back(), [](int) {}).ok());
    batch.push_back({&plan, &first.features, &together.back()});
  }
  std::vector<std::vector<int>> layers(plans.size());
  const absl::Status status = expert->PrefillBatch(
      batch, [&](std::size_t item, int layer) { layers[item].push_back(layer); });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_NE(plans[0].layout.tokens, plans[2].layout.tokens);
  for (std::size_t i = 0; i < plans.size(); ++i) {
    EXPECT_EQ(layers[i], (std::vector<int>{0, 1, 2, 3}));
    for (const TensorKind tensor : {TensorKind::kKey, TensorKind::kValue}) {
      golden::ExpectClose(Stack(together[i], tensor), Stack(alone[i], tensor),
                          golden::kCacheTolerance, "of a batch");
    }
  }
}

TEST(TorchUnderstandingExpert, BidirectionalInstructionIsTheTrainingsMask) {
  const auto expert = Load({.bidirectional_instruction = true});
  const GoldenCase golden("b_slow_A_bidirectional");
  const Context full = RunCaseA(*expert, golden, ContextLayout::Kind::kFull);
  golden::ExpectClose(Stack(full.keys_values, TensorKind::kKey), golden.Expected("k_cache"),
                      golden::kCacheTolerance, "keys");
}

TEST(TorchUnderstandingExpert, DecisionIsTheReferencesOnTheSnapshotsObservation) {
  const auto expert = Load();
  const GoldenCase slow("b_slow_A"), bev("c_bev"), fast("d_fast");
  const Context context = RunCaseA(*expert, slow, ContextLayout::Kind::kCompact);
  DecisionInputs inputs;
  inputs.camera = std::make_shared<const RgbImage>(ToImage(bev.Input("camera_rgb")));
  inputs.camera_was_jpeg = true;  // the reference's run left the round trip out
  auto lidar = std::make_shared<LidarHistogram>();
  const at::Tensor counts = bev.Input("lidar_hist_counts")[0].contiguous();
  lidar->counts.assign(counts.data_ptr<uint8_t>(), counts.data_ptr<uint8_t>() + counts.numel());
  inputs.lidar = lidar;
  const at::Tensor points = fast.Input("target_points").to(at::kDouble);
  inputs.prompt.target.current = {points[0][0].item<double>(), points[0][1].item<double>()};
  inputs.prompt.target.next = {points[1][0].item<double>(), points[1][1].item<double>()};
  inputs.prompt.speed_mps = fast.Input("speed").item<double>();
  inputs.capture_time_us = 5'000'000;
  const auto decision = expert->Decide(context.plan, context.keys_values, inputs);
  ASSERT_TRUE(decision.ok()) << decision.status();
  const Decision expected = ExpectedDecision(fast.Expected("k0_logits"), inputs.capture_time_us);
  ASSERT_EQ(decision->slot_count, expected.slot_count);
  for (std::size_t i = 0; i < expected.slot_count; ++i) {
    EXPECT_EQ(decision->slots.at(i).text.view(), expected.slots.at(i).text.view());
    EXPECT_EQ(decision->slots.at(i).longitudinal, expected.slots.at(i).longitudinal);
    EXPECT_EQ(decision->slots.at(i).time_us, expected.slots.at(i).time_us);
    EXPECT_NEAR(decision->slots.at(i).probability, expected.slots.at(i).probability, 1e-4);
  }
}

TEST(TorchUnderstandingExpert, DecisionNeedsTheCheckpointsCamera) {
  const auto expert = Load();
  const Context context = RunCaseA(*expert, GoldenCase("b_slow_A"), ContextLayout::Kind::kCompact);
  DecisionInputs inputs;
  inputs.camera = std::make_shared<const RgbImage>(
      RgbImage{.width = 4, .height = 2, .pixels = std::vector<uint8_t>(24)});
  const absl::Status status = expert->Decide(context.plan, context.keys_values, inputs).status();
  EXPECT_EQ(status, absl::InvalidArgumentError(
                        "camera_images is 4 x 2 pixels; the checkpoint's camera is 128 x 96"));
}

TEST(TorchUnderstandingExpert, WithoutDecisionWeightsDecideIsUnimplemented) {
  const auto expert = Load({.publish_decisions = false});
  EXPECT_TRUE(absl::IsUnimplemented(expert->Decide({}, {}, {}).status()));
}

// A refresh runs between two tokens of an answer: neither may see the other.
TEST(TorchUnderstandingExpert, RefreshWithinAnAnswerChangesNeither) {
  const auto expert = Load();
  const GoldenCase golden("b_slow_A");
  const Context before = RunCaseA(*expert, golden, ContextLayout::Kind::kCompact);
  const auto ask = [&](const std::function<void()>& yield) {
    std::string text;
    EXPECT_TRUE(expert
                    ->Ask(
                        "Why?", before.features, {.max_tokens = 6},
                        [&](std::string_view piece) {
                          text += piece;
                          return true;
                        },
                        yield)
                    .ok());
    return text;
  };
  const std::string alone = ask([] {});
  const std::string interrupted = ask([&] {
    const Context within = RunCaseA(*expert, golden, ContextLayout::Kind::kCompact);
    EXPECT_TRUE(at::equal(Stack(within.keys_values, TensorKind::kKey),
                          Stack(before.keys_values, TensorKind::kKey)));
  });
  EXPECT_EQ(interrupted, alone);
}

TEST(TorchUnderstandingExpert, BadOptionsNameTheFlag) {
  EXPECT_EQ(TorchExpertFactory({}).status(),
            absl::InvalidArgumentError("--checkpoint is missing; it names a checkpoint directory"));
  EXPECT_TRUE(absl::IsInvalidArgument(
      TorchExpertFactory({.checkpoint = "x", .dtype = "float64"}).status()));
  EXPECT_TRUE(
      absl::IsInvalidArgument(TorchExpertFactory({.checkpoint = "x", .device = "gpu"}).status()));
  auto factory = TorchExpertFactory({.checkpoint = "/nowhere"});
  ASSERT_TRUE(factory.ok());
  EXPECT_TRUE(absl::IsNotFound((*factory)().status()));
}

}  // namespace
}  // namespace automot::reasoning
