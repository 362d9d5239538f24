#include "tools/make_checkpoint/random_checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "common/checkpoint/checkpoint.h"
#include "common/checkpoint/json_file.h"
#include "common/checkpoint/layout.h"
#include "common/tokenizer/prompt.h"
#include "common/tokenizer/tokenizer.h"
#include "tools/make_checkpoint/bpe_trainer.h"
#include "tools/make_checkpoint/presets.h"

namespace automot::model {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const char kTiny[] = AUTOMOT_SOURCE_DIR "/tests/golden/data/tiny";

class RandomCheckpoint : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    directory_ = fs::path(::testing::TempDir()) /
                 ("automot_random_" + std::to_string(getpid()) + "_" + info->name());
    fs::remove_all(directory_);
  }
  void TearDown() override { fs::remove_all(directory_); }

  RandomCheckpointOptions Options(std::string_view preset) {
    auto geometry = PresetGeometry(preset);
    EXPECT_TRUE(geometry.ok()) << geometry.status();
    return {.directory = directory_, .geometry = *geometry};
  }
  std::shared_ptr<const Checkpoint> WriteAndOpen(const RandomCheckpointOptions& options) {
    const absl::Status status = WriteRandomCheckpoint(options);
    EXPECT_TRUE(status.ok()) << status;
    auto checkpoint = Checkpoint::Open(options.directory);
    EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
    return checkpoint.ok() ? *checkpoint : nullptr;
  }

  fs::path directory_;
};

std::vector<float> Floats(const TensorView& tensor) {
  std::vector<float> values(tensor.bytes.size() / sizeof(float));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

TEST_F(RandomCheckpoint, NanoLoadsAndKeepsThePromisesOfTheEmbeddedDefault) {
  const auto checkpoint = WriteAndOpen(Options("nano"));
  ASSERT_NE(checkpoint, nullptr);
  const ModelGeometry& g = checkpoint->geometry();
  EXPECT_LE(CountValues(g), 12'000'000);
  EXPECT_GE(g.text.layers, 6);
  EXPECT_EQ(g.vision.deepstack_layers.size(), 3u);
  EXPECT_EQ(static_cast<double>(g.action.head_dim) / static_cast<double>(g.text.head_dim), 0.625);
  EXPECT_NE(g.text.hidden, g.text.heads * g.text.head_dim);
  EXPECT_EQ(g.text.heads / g.text.kv_heads, g.action.heads / g.action.kv_heads);
  EXPECT_GE(g.bev.fusion_blocks, 1);
  EXPECT_EQ(g.action.tokens(), 101);
  EXPECT_EQ(g.preprocess.tokens_per_image(g.vision), 32);
  EXPECT_FALSE(g.weights_trained);
}

TEST_F(RandomCheckpoint, NanoHasOneTokenPerDecisionWord) {
  const auto checkpoint = WriteAndOpen(Options("nano"));
  ASSERT_NE(checkpoint, nullptr);
  const auto tokenizer = Tokenizer::Load(checkpoint->tokenizer_path());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_LE((*tokenizer)->size(), 4000);
  for (const std::string& word : checkpoint->geometry().driving.lexicon) {
    EXPECT_EQ((*tokenizer)->Encode(" " + word)->size(), 1u) << word;
  }
  EXPECT_EQ((*tokenizer)->Encode(",")->size(), 1u);
  EXPECT_EQ((*tokenizer)->Encode(" stop, accelerate, slow")->size(), 5u);
  EXPECT_EQ((*tokenizer)->TokenId("<|im_start|>"), checkpoint->geometry().tokens.im_start);
  EXPECT_EQ((*tokenizer)->TokenId("<|image_pad|>"), checkpoint->geometry().tokens.image_pad);
}

// The instruction has as many tokens as with the published vocabulary (spec 2.2).
TEST_F(RandomCheckpoint, NanoEncodesThePromptAsShortAsThePublishedVocabulary) {
  const auto checkpoint = WriteAndOpen(Options("nano"));
  ASSERT_NE(checkpoint, nullptr);
  const auto tokenizer = Tokenizer::Load(checkpoint->tokenizer_path());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const auto ids =
      BuildPromptIds(**tokenizer, *FormatInstruction({Vec2{12.3, -3.2}, Vec2{48.1, 5.5}}, 7.31));
  ASSERT_TRUE(ids.ok()) << ids.status();
  EXPECT_EQ(ids->prefix.size(), 16u);
  EXPECT_EQ(ids->instruction.size(), 89u);
}

TEST_F(RandomCheckpoint, TinyHasTheTensorsOfTheGoldenCheckpoint) {
  const auto checkpoint = WriteAndOpen(Options("tiny"));
  auto golden = Checkpoint::Open(kTiny);
  ASSERT_NE(checkpoint, nullptr);
  ASSERT_TRUE(golden.ok()) << golden.status();
  ASSERT_EQ(checkpoint->tensors().size(), (*golden)->tensors().size());
  for (const TensorView* expected : (*golden)->tensors()) {
    const TensorView* tensor = checkpoint->Find(expected->name);
    ASSERT_NE(tensor, nullptr) << expected->name;
    EXPECT_EQ(tensor->shape, expected->shape) << expected->name;
    EXPECT_EQ(tensor->dtype, expected->dtype) << expected->name;
  }
}

// The table of spec 6.2 and the counts of its section 1.1.
TEST(Presets, PublishedShapesAreThoseOfThePublishedModel) {
  const auto g = PresetGeometry("published");
  ASSERT_TRUE(g.ok()) << g.status();
  std::map<std::string, std::vector<int64_t>> shapes;
  int64_t vision = 0, image_trunk = 0, layers = 0;
  for (const ExpectedTensor& tensor : ExpectedTensors(*g)) {
    shapes[tensor.name] = tensor.shape;
    vision += tensor.name.starts_with("vision_model.");
    image_trunk += tensor.name.starts_with("bev_encoder.image_encoder.");
    layers += tensor.name.starts_with("language_model.model.layers.");
  }
  EXPECT_EQ(vision, 315);
  EXPECT_EQ(image_trunk, 492);
  EXPECT_EQ(layers, 792);
  EXPECT_NEAR(static_cast<double>(CountValues(*g)), 6.225e9, 0.001e9);
  EXPECT_THAT(shapes["language_model.model.layers.35.self_attn.q_proj_mot_gen.weight"],
              ElementsAre(1280, 2560));
  EXPECT_THAT(shapes["vision_model.patch_embed.proj.weight"], ElementsAre(1024, 3, 2, 16, 16));
  EXPECT_THAT(shapes["bev_encoder.image_encoder.s1.b1.se.fc1.weight"], ElementsAre(8, 72, 1, 1));
  EXPECT_THAT(shapes["bev_encoder.image_encoder.s1.b2.se.fc1.weight"], ElementsAre(18, 72, 1, 1));
  EXPECT_THAT(shapes["bev_encoder.image_encoder.s4.b1.se.fc1.weight"],
              ElementsAre(144, 1512, 1, 1));
  EXPECT_THAT(shapes["bev_encoder.transformers.3.pos_emb"], ElementsAre(1, 448, 1512));
  EXPECT_EQ(g->tokens.image_pad, 151655);
  EXPECT_EQ(g->preprocess.tokens_per_image(g->vision), 128);
}

// A change here means that no machine can reproduce revisions that were published before.
TEST_F(RandomCheckpoint, TheBytesDependOnNothingButTheOptions) {
  RandomCheckpointOptions options = Options("tiny");
  options.seed = 7;
  const auto checkpoint = WriteAndOpen(options);
  ASSERT_NE(checkpoint, nullptr);
  EXPECT_EQ(checkpoint->revision(), "30f28e9cf1e4b70b4b627315cb8b644f");
}

TEST_F(RandomCheckpoint, AnotherSeedGivesOtherWeights) {
  RandomCheckpointOptions options = Options("tiny");
  const std::string first(WriteAndOpen(options)->revision());
  const std::string again(WriteAndOpen(options)->revision());
  options.seed = 2;
  EXPECT_EQ(first, again);
  EXPECT_NE(first, WriteAndOpen(options)->revision());
}

TEST_F(RandomCheckpoint, ValuesAreFiniteAndScaledByFanIn) {
  const auto checkpoint = WriteAndOpen(Options("tiny"));
  ASSERT_NE(checkpoint, nullptr);
  const auto deviation = [&](const std::string& name, double mean) {
    double sum = 0;
    const auto values = Floats(*checkpoint->Find(name));
    for (const float value : values) sum += (value - mean) * (value - mean);
    return std::sqrt(sum / static_cast<double>(values.size()));
  };
  EXPECT_NEAR(deviation("language_model.model.layers.0.mlp.down_proj.weight", 0),
              1 / std::sqrt(320.0), 1e-3);
  EXPECT_NEAR(deviation("bev_encoder.lidar_encoder.s4.b1.conv2.conv.weight", 0),
              1 / std::sqrt(72.0), 5e-3);
  EXPECT_NEAR(deviation("language_model.model.norm.weight", 1), 0.036, 0.01);
  EXPECT_EQ(deviation("bev_encoder.lidar_encoder.stem.bn.running_mean", 0), 0);
  EXPECT_EQ(deviation("bev_encoder.lidar_encoder.stem.bn.running_var", 1), 0);
  for (const TensorView* tensor : checkpoint->tensors()) {
    if (tensor->dtype != DType::kF32) continue;
    for (const float value : Floats(*tensor)) ASSERT_LT(std::abs(value), 4.0F) << tensor->name;
  }
}

TEST_F(RandomCheckpoint, Bfloat16ValuesAreTheRoundedFloat32Ones) {
  RandomCheckpointOptions options = Options("tiny");
  const std::string name = "route_projector.fc2.weight";
  const auto full = Floats(*WriteAndOpen(options)->Find(name));
  options.dtype = DType::kBF16;
  const auto checkpoint = WriteAndOpen(options);
  ASSERT_NE(checkpoint, nullptr);
  const TensorView& half = *checkpoint->Find(name);
  ASSERT_EQ(half.dtype, DType::kBF16);
  for (size_t i = 0; i < full.size(); ++i) {
    uint16_t stored = 0;
    std::memcpy(&stored, half.bytes.data() + 2 * i, 2);
    const uint32_t widened = uint32_t{stored} << 16;
    float value = 0;
    std::memcpy(&value, &widened, 4);
    ASSERT_NEAR(value, full[i], std::abs(full[i]) / 256) << i;
  }
}

TEST_F(RandomCheckpoint, AStoredHeadIsACopyOfTheEmbedding) {
  RandomCheckpointOptions options = Options("tiny");
  const std::string without(WriteAndOpen(options)->revision());
  options.store_lm_head = true;
  EXPECT_EQ(WriteAndOpen(options)->revision(), without);
}

TEST_F(RandomCheckpoint, DoesNotOverwriteTrainedWeights) {
  fs::create_directories(directory_);
  std::ofstream(directory_ / "model.safetensors") << "precious";
  RandomCheckpointOptions options = Options("tiny");
  const absl::Status status = WriteRandomCheckpoint(options);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(*ReadTextFile(directory_ / "model.safetensors", 100), "precious");
  options.overwrite_trained = true;
  EXPECT_TRUE(WriteRandomCheckpoint(options).ok());
}

TEST_F(RandomCheckpoint, AnyConsistentGeometryLoads) {
  RandomCheckpointOptions options = Options("tiny");
  ModelGeometry& g = options.geometry;
  ASSERT_TRUE(
      ApplyGeometryJson(
          g, R"({"text": {"layers": 5, "hidden": 192, "heads": 4, "kv_heads": 4, "head_dim": 16,
      "mrope_section": [4, 2, 2]}, "action": {"heads": 2, "kv_heads": 2, "head_dim": 12}, "vision.depth": 5,
      "vision.deepstack_layers": [1, 4], "bev.depths": [2, 1, 1, 2], "bev.widths": [8, 16, 32, 40]})")
          .ok());
  const absl::Status completed = CompleteGeometry(g);
  ASSERT_TRUE(completed.ok()) << completed;
  const auto checkpoint = WriteAndOpen(options);
  ASSERT_NE(checkpoint, nullptr);
  EXPECT_EQ(checkpoint->geometry().text.hidden, 192);
  EXPECT_EQ(checkpoint->geometry().vision.deepstack_layers, (std::vector<int>{1, 4}));
  EXPECT_EQ(checkpoint->geometry().bev.lidar.stages[3].se_channels, (std::vector<int64_t>{8, 10}));
}

TEST(Presets, RefuseWhatTheyDoNotKnow) {
  EXPECT_THAT(PresetGeometry("huge").status().message(), HasSubstr("preset \"huge\""));
  ModelGeometry g = *PresetGeometry("tiny");
  EXPECT_THAT(SetGeometryField(g, "text.depth", {1}).message(),
              HasSubstr("unknown size \"text.depth\""));
  EXPECT_THAT(SetGeometryField(g, "text.layers", {-1}).message(),
              HasSubstr("-1 is outside [0, 16777216]"));
  EXPECT_THAT(SetGeometryField(g, "bev.widths", {1, 2}).message(),
              HasSubstr("needs 4 value(s), 2 given"));
  EXPECT_THAT(ApplyGeometryJson(g, R"({"text": {"layers": "8"}})").message(),
              HasSubstr("text.layers is not a whole"));
}

TEST(Presets, RefuseSizesThatContradictEachOther) {
  ModelGeometry g = *PresetGeometry("nano");
  g.action.heads = 8;
  EXPECT_THAT(CompleteGeometry(g).message(),
              HasSubstr("action group 8/1 differs from text group 8/2"));
  g = *PresetGeometry("nano");
  g.text.vocab = 300;
  EXPECT_THAT(CompleteGeometry(g).message(),
              HasSubstr("text.vocab 300 is less than the tokenizer's"));
}

TEST(BpeTrainer, MergesTheMostFrequentPairFirst) {
  const auto bpe = TrainBpe("ab ab cd", "\\w+|\\s+", 300);
  ASSERT_TRUE(bpe.ok()) << bpe.status();
  EXPECT_THAT(bpe->merges, ElementsAre(std::pair<std::string, std::string>("a", "b"),
                                       std::pair<std::string, std::string>("c", "d")));
  EXPECT_EQ(bpe->pieces.size(), 258u);
}

TEST(BpeTrainer, StopsAtTheLimit) {
  const auto bpe = TrainBpe("ab ab cd", "\\w+|\\s+", 257);
  ASSERT_TRUE(bpe.ok()) << bpe.status();
  EXPECT_EQ(bpe->pieces.size(), 257u);
}

}  // namespace
}  // namespace automot::model
