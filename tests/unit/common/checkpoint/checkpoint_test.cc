#include "common/checkpoint/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "common/checkpoint/layout.h"
#include "common/checkpoint/problem_list.h"
#include "nlohmann/json.hpp"
#include "tests/unit/common/checkpoint/checkpoint_fixture.h"

namespace automot::model {
namespace {

using ::testing::HasSubstr;

TEST(Checkpoint, DerivesTheTinyGeometryFromItsFiles) {
  auto checkpoint = Checkpoint::Open(kTiny);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const ModelGeometry& g = (*checkpoint)->geometry();
  EXPECT_EQ((*checkpoint)->tensors().size(), 589u);
  EXPECT_EQ(g.text.hidden, 160);
  EXPECT_EQ(g.text.layers, 4);
  EXPECT_EQ(g.text.heads, 8);
  EXPECT_EQ(g.text.kv_heads, 2);
  EXPECT_EQ(g.text.head_dim, 32);
  EXPECT_EQ(g.text.vocab, 1024);
  EXPECT_EQ(g.text.rope_theta, 5e6);
  EXPECT_EQ(g.text.mrope_section, (std::array<int, 3>{6, 5, 5}));
  EXPECT_EQ(g.vision.position_table_side, 8);
  EXPECT_EQ(g.vision.deepstack_layers, (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(g.preprocess.tokens_per_image(g.vision), 6);
  EXPECT_EQ(g.action.heads, 4);
  EXPECT_EQ(g.action.kv_heads, 1);
  EXPECT_EQ(g.action.head_dim, 20);
  EXPECT_EQ(g.action.query_dim, 36);
  EXPECT_EQ(g.action.tokens(), 101);
  EXPECT_EQ(g.action.encoder_widths, (std::array<int64_t, 2>{256, 512}));
  EXPECT_EQ(g.action.head_widths, (std::array<int64_t, 2>{512, 256}));
  EXPECT_EQ(g.bev.image.stages[2].depth, 2);
  EXPECT_EQ(g.bev.image.stages[3].width, 48);
  EXPECT_EQ(g.bev.image.stages[0].se_channels, (std::vector<int64_t>{2}));
  EXPECT_EQ(g.bev.fusion_blocks, 1);
  EXPECT_EQ(g.bev.image_tokens() + g.bev.lidar_tokens(), 72);
  EXPECT_EQ(g.preprocess.crop_rows, 64);
  EXPECT_EQ(g.preprocess.camera_height, 96);
  EXPECT_EQ(g.tokens.im_start, 403);
  EXPECT_EQ(g.tokens.image_pad, 408);
  EXPECT_TRUE(g.weights_trained);
}

TEST(Checkpoint, FindsTheTiedHeadAsTheEmbedding) {
  auto checkpoint = Checkpoint::Open(kTiny);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const TensorView* head = (*checkpoint)->Find(kLmHeadName);
  ASSERT_NE(head, nullptr);
  EXPECT_EQ(head->bytes.data(), (*checkpoint)->Find(kEmbeddingName)->bytes.data());
  EXPECT_EQ((*checkpoint)->Find("no.such.tensor"), nullptr);
}

TEST(Checkpoint, SaysWhichFileIsMissing) {
  auto checkpoint = Checkpoint::Open("/nonexistent");
  EXPECT_EQ(checkpoint.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(checkpoint.status().message(), HasSubstr("/nonexistent/model.safetensors"));
}

TEST_F(BrokenCheckpoint, ListsEveryProblemInOneMessage) {
  tensors_.erase("waypoint_projector.fc2.bias");
  tensors_["extra.weight"] = {DType::kF32, {1}, std::vector<std::byte>(4)};
  tensors_["velocity_encoder.2.bias"] = {DType::kF32, {3}, std::vector<std::byte>(12)};
  tensors_["language_model.model.norm.weight"] = {DType::kF64, {160}, std::vector<std::byte>(1280)};
  WriteAll();
  const std::string error = OpenError();
  EXPECT_THAT(error, HasSubstr("4 tensor problem(s)"));
  EXPECT_THAT(error, HasSubstr("missing waypoint_projector.fc2.bias [160]"));
  EXPECT_THAT(error, HasSubstr("unexpected extra.weight [1]"));
  EXPECT_THAT(error, HasSubstr("shape of velocity_encoder.2.bias is [3], expected [512]"));
  EXPECT_THAT(
      error,
      HasSubstr("dtype of language_model.model.norm.weight is F64, expected F32, F16 or BF16"));
}

TEST_F(BrokenCheckpoint, CutsAListWithoutEndButCountsItWhole) {
  for (size_t i = 0; i < ProblemList::kMaxListed + 5; ++i) {
    tensors_["extra." + std::to_string(i)] = {DType::kU8, {1}, std::vector<std::byte>(1)};
  }
  WriteAll();
  const std::string error = OpenError();
  EXPECT_THAT(error, HasSubstr("10005 tensor problem(s)"));
  EXPECT_THAT(error, HasSubstr("and 5 more"));
}

TEST_F(BrokenCheckpoint, EscapesNamesThatATerminalWouldObey) {
  tensors_["\x1b[2Jextra"] = {DType::kU8, {1}, std::vector<std::byte>(1)};
  WriteAll();
  EXPECT_THAT(OpenError(), HasSubstr("unexpected \\033[2Jextra [1]"));
}

// Tensors that a size is read from do not hide the other problems when they are the broken ones.
TEST_F(BrokenCheckpoint, ListsTensorsThatTellASizeBesideAllOthers) {
  const std::string attention = "language_model.model.layers.0.self_attn.";
  const std::vector<std::string> missing = {
      "bev_encoder_proj.weight",
      attention + "q_norm_mot_gen.weight",
      attention + "q_proj_mot_gen.weight",
      attention + "k_proj_mot_gen.weight",
      "language_model.model.layers.0.mlp_mot_gen.gate_proj.weight",
      "reasoning_queries.weight",
      "velocity_head.2.weight",
      "velocity_encoder.0.weight",
      "route_head.mlp.0.weight",
      "bev_encoder.image_encoder.stem.conv.weight",
      "bev_encoder.image_encoder.s3.b1.conv1.conv.weight",
      "bev_encoder.image_encoder.s3.b2.se.fc1.weight",
      "bev_encoder.c5_conv.weight",
      "bev_encoder.transformers.0.blocks.0.ln1.weight",
      "vision_model.pos_embed.weight"};
  for (const std::string& name : missing) tensors_.erase(name);
  tensors_["waypoint_queries.weight"] = {DType::kF32, {6, 6, 6}, std::vector<std::byte>(864)};
  WriteAll();
  const std::string error = OpenError();
  EXPECT_THAT(error, HasSubstr("16 tensor problem(s)"));
  for (const std::string& name : missing) EXPECT_THAT(error, HasSubstr("missing " + name + " ["));
  EXPECT_THAT(error, HasSubstr("shape of waypoint_queries.weight is [6, 6, 6], expected [6, 36]"));
}

TEST_F(BrokenCheckpoint, SaysBothThatSizesContradictAndWhichTensorsDiffer) {
  tensors_["bev_encoder_proj.weight"] = {DType::kF32, {100, 48}, std::vector<std::byte>(19200)};
  WriteAll();
  const std::string error = OpenError();
  EXPECT_THAT(error, HasSubstr("action hidden 100 differs from text hidden 160"));
  EXPECT_THAT(error, HasSubstr("shape of bev_encoder_proj.bias is [160], expected [100]"));
}

TEST_F(BrokenCheckpoint, TakesFloatingPointTensorsOfAnyMixture) {
  tensors_["route_projector.fc2.bias"] = {DType::kBF16, {160}, std::vector<std::byte>(320)};
  tensors_["waypoint_projector.fc2.bias"] = {DType::kF16, {160}, std::vector<std::byte>(320)};
  WriteAll();
  auto checkpoint = Open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ((*checkpoint)->Find("route_projector.fc2.bias")->dtype, DType::kBF16);
  EXPECT_EQ((*checkpoint)->Find("waypoint_projector.fc2.bias")->dtype, DType::kF16);
}

TEST_F(BrokenCheckpoint, RefusesACounterThatIsNotAnInteger) {
  tensors_["bev_encoder.image_encoder.stem.bn.num_batches_tracked"] = {
      DType::kF32, {}, std::vector<std::byte>(4)};
  WriteAll();
  EXPECT_THAT(OpenError(), HasSubstr("num_batches_tracked is F32, expected I64"));
}

TEST_F(BrokenCheckpoint, TellsAStackThatIsOneLayerShort) {
  EditJson("config.json", [](nlohmann::json& c) { c["text_config"]["num_hidden_layers"] = 5; });
  WriteAll();
  EXPECT_THAT(OpenError(), HasSubstr("missing language_model.model.layers.4."));
}

TEST_F(BrokenCheckpoint, AcceptsBothOtherPrefixesOfTheBevEncoder) {
  for (const char* prefix : {"bev_encoder.backbone.", "backbone."}) {
    Rename(tensors_.count("bev_encoder.c5_conv.bias") ? "bev_encoder." : "bev_encoder.backbone.",
           prefix);
    WriteAll();
    auto checkpoint = Open();
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    EXPECT_NE((*checkpoint)->Find("bev_encoder.c5_conv.bias"), nullptr);
    EXPECT_EQ((*checkpoint)->revision(), TinyRevision());
  }
}

TEST_F(BrokenCheckpoint, RefusesATensorUnderTwoPrefixes) {
  tensors_["backbone.c5_conv.bias"] = tensors_["bev_encoder.c5_conv.bias"];
  WriteAll();
  EXPECT_THAT(OpenError(), HasSubstr("\"bev_encoder.c5_conv.bias\" is stored twice"));
}

TEST_F(BrokenCheckpoint, AStoredIdenticalHeadChangesNothing) {
  tensors_[kLmHeadName] = tensors_[kEmbeddingName];
  WriteAll();
  auto checkpoint = Open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ((*checkpoint)->revision(), TinyRevision());
}

TEST_F(BrokenCheckpoint, RefusesAStoredHeadThatDiffersFromATiedEmbedding) {
  tensors_[kLmHeadName] = tensors_[kEmbeddingName];
  tensors_[kLmHeadName].bytes[5] ^= std::byte{1};
  WriteAll();
  EXPECT_THAT(OpenError(), HasSubstr("lm_head.weight differs"));
}

TEST_F(BrokenCheckpoint, RefusesAStoredHeadOfAnotherShape) {
  tensors_[kLmHeadName] = {DType::kF32, {2, 160}, std::vector<std::byte>(1280)};
  WriteAll();
  EXPECT_THAT(
      OpenError(),
      HasSubstr("shape of language_model.lm_head.weight is [2, 160], expected [1024, 160]"));
}

TEST_F(BrokenCheckpoint, AnUntiedHeadIsRequiredAndUsed) {
  EditJson("config.json", [](nlohmann::json& c) { c["tie_word_embeddings"] = false; });
  WriteAll();
  EXPECT_THAT(OpenError(), HasSubstr("missing language_model.lm_head.weight"));
  tensors_[kLmHeadName] = tensors_[kEmbeddingName];
  tensors_[kLmHeadName].bytes[5] ^= std::byte{1};
  WriteAll();
  auto checkpoint = Open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_NE((*checkpoint)->Find(kLmHeadName)->bytes.data(),
            (*checkpoint)->Find(kEmbeddingName)->bytes.data());
}

TEST_F(ShardedCheckpoint, HasTheRevisionOfTheSingleFile) {
  WriteShards();
  auto checkpoint = Open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ((*checkpoint)->tensors().size(), 589u);
  EXPECT_EQ((*checkpoint)->revision(), TinyRevision());
}

TEST_F(ShardedCheckpoint, RefusesAnIndexThatLeavesTheDirectory) {
  WriteShards(
      [](nlohmann::json& map) { map["route_queries.weight"] = "../elsewhere.safetensors"; });
  EXPECT_THAT(OpenError(),
              HasSubstr("\"route_queries.weight\" does not name a file of the directory"));
}

TEST_F(ShardedCheckpoint, RefusesAnIndexThatOmitsATensor) {
  WriteShards([](nlohmann::json& map) { map.erase("route_queries.weight"); });
  EXPECT_THAT(OpenError(), HasSubstr("is not in weight_map"));
}

TEST_F(ShardedCheckpoint, RefusesAnIndexThatListsMoreThanTheShardsHold) {
  WriteShards([](nlohmann::json& map) { map["ghost"] = ShardOf("a"); });
  EXPECT_THAT(OpenError(), HasSubstr("weight_map lists 590 tensors, the shards hold 589"));
}

TEST_F(ShardedCheckpoint, SaysWhichShardIsMissing) {
  WriteShards();
  fs::remove(directory_ / ShardOf("a"));
  EXPECT_THAT(OpenError(), HasSubstr(ShardOf("a")));
}

TEST_F(BrokenCheckpoint, EmaTensorsReplaceThoseOfTheModelOnlyWhenAsked) {
  WriteAll();
  tensors_["route_queries.weight"].bytes[0] ^= std::byte{1};
  Write("ema.safetensors", [](const std::string& name) { return name == "route_queries.weight"; });
  auto plain = Open(), ema = Open({.use_ema = true});
  ASSERT_TRUE(plain.ok()) << plain.status();
  ASSERT_TRUE(ema.ok()) << ema.status();
  EXPECT_NE((*plain)->Find("route_queries.weight")->bytes[0],
            (*ema)->Find("route_queries.weight")->bytes[0]);
  EXPECT_NE((*plain)->revision(), (*ema)->revision());
}

TEST_F(BrokenCheckpoint, TheRevisionFollowsOneBitOfOneTensor) {
  WriteAll();
  auto before = Open();
  ASSERT_TRUE(before.ok()) << before.status();
  EXPECT_EQ((*before)->revision(), TinyRevision());
  EXPECT_EQ((*before)->revision().size(), 32u);
  tensors_["vision_model.pos_embed.weight"].bytes.back() ^= std::byte{1};
  WriteAll();
  auto after = Open();
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_NE((*after)->revision(), (*before)->revision());
}

TEST_F(BrokenCheckpoint, TheRevisionFollowsTheSideFiles) {
  WriteAll();
  EditJson("config.json", [](nlohmann::json& c) { c["text_config"]["rms_norm_eps"] = 1e-5; });
  auto checkpoint = Open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_NE((*checkpoint)->revision(), TinyRevision());
}

TEST_F(BrokenCheckpoint, WithoutDimensionsFileThePublishedValuesHold) {
  fs::remove(directory_ / "automot_dims.json");
  WriteAll();
  auto checkpoint = Open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ((*checkpoint)->geometry().preprocess.resize_width, 512);
  EXPECT_EQ((*checkpoint)->geometry().preprocess.resize_height, 256);
  EXPECT_EQ((*checkpoint)->geometry().driving.history_spacing_s, 0.25);
}

// By hand: 96x64 grows by sqrt(65536 / 6144), each side then rounded up to a multiple of 32.
TEST_F(BrokenCheckpoint, AppliesTheSizeRuleOfTheProcessor) {
  EditJson("preprocessor_config.json",
           [](nlohmann::json& p) { p["size"]["shortest_edge"] = 65536; });
  WriteAll();
  auto checkpoint = Open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const ModelGeometry& g = (*checkpoint)->geometry();
  EXPECT_EQ(g.preprocess.resize_width, 96);
  EXPECT_EQ(g.preprocess.frame_width, 320);
  EXPECT_EQ(g.preprocess.frame_height, 224);
  EXPECT_EQ(g.preprocess.tokens_per_image(g.vision), 70);
}

TEST_F(BrokenCheckpoint, ReadsOurOwnAdditions) {
  EditJson("automot_dims.json", [](nlohmann::json& d) {
    d["weights_note"] = "random, untrained";
    d["decision_offsets_s"] = {1.0, 2.0, 3.0};
    d["history_spacing_s"] = 0.5;
    d["target_point_rule"] = "along_route_30_60_m";
    d["lexicon"] = {"go", "stop"};
  });
  WriteAll();
  auto checkpoint = Open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const ModelGeometry& g = (*checkpoint)->geometry();
  EXPECT_FALSE(g.weights_trained);
  EXPECT_EQ(g.driving.decision_offsets_s, (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(g.driving.history_spacing_s, 0.5);
  EXPECT_EQ(g.driving.target_point_rule, "along_route_30_60_m");
  EXPECT_EQ(g.driving.lexicon, (std::vector<std::string>{"go", "stop"}));
}

TEST_F(BrokenCheckpoint, TakesTokenIdsFromTheTokenizerWhenTheConfigOmitsThem) {
  EditJson("config.json",
           [](nlohmann::json& c) { c.erase("im_start_token_id"), c.erase("im_end_token_id"); });
  WriteAll();
  auto checkpoint = Open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ((*checkpoint)->geometry().tokens.im_start, 403);
  EXPECT_EQ((*checkpoint)->geometry().tokens.im_end, 404);
}

struct BadField {
  const char* file;
  const char* pointer;
  const char* value;
  const char* message;
};

void PrintTo(const BadField& bad, std::ostream* out) { *out << bad.pointer << "=" << bad.value; }

class BadDocument : public BrokenCheckpoint, public ::testing::WithParamInterface<BadField> {};

TEST_P(BadDocument, IsRefusedByName) {
  const BadField& bad = GetParam();
  EditJson(bad.file, [&](nlohmann::json& d) {
    d[nlohmann::json::json_pointer(bad.pointer)] = nlohmann::json::parse(bad.value);
  });
  WriteAll();
  EXPECT_THAT(OpenError(), HasSubstr(bad.message));
}

INSTANTIATE_TEST_SUITE_P(
    Fields, BadDocument,
    ::testing::Values(
        BadField{"config.json", "/text_config/num_hidden_layers", "1e300",
                 "num_hidden_layers is 1e+300, outside [1, 1024]"},
        BadField{"config.json", "/text_config/hidden_size", "\"160\"",
                 "text_config.hidden_size is not a whole number"},
        BadField{"config.json", "/text_config/rms_norm_eps", "0",
                 "text_config.rms_norm_eps is not a number within"},
        BadField{"config.json", "/text_config/num_key_value_heads", "3",
                 "text heads 8 is not a positive multiple"},
        BadField{"config.json", "/text_config/rope_scaling/mrope_section", "[6,5,4]",
                 "sum to head_dim / 2 = 16, not 15"},
        BadField{"config.json", "/text_config/rope_scaling/mrope_section", "[16]",
                 "mrope_section needs three numbers"},
        BadField{"config.json", "/text_config/rope_scaling/rope_type", "\"yarn\"",
                 "only \"default\" is supported"},
        BadField{"config.json", "/text_config/attention_bias", "true",
                 "attention_bias must be false"},
        BadField{"config.json", "/vision_config/num_position_embeddings", "63", "not a square"},
        BadField{"config.json", "/vision_config/deepstack_visual_indexes", "[0,2,1]",
                 "deepstack layer 1"},
        BadField{"config.json", "/vision_config/deepstack_visual_indexes", "[0,1,9]",
                 "deepstack layer 9"},
        BadField{"config.json", "/vision_config/num_heads", "5", "vision hidden 32"},
        BadField{"config.json", "/image_token_id", "1024",
                 "image_token_id is 1024, outside [0, 1023]"},
        BadField{"bev_config.json", "/n_head", "3",
                 "fusion width 8 is not a positive multiple of fusion heads 3"},
        BadField{"bev_config.json", "/use_ground_plane", "true",
                 "lidar encoder takes 1 channels, not 2"},
        BadField{"bev_config.json", "/max_x", "40", "is not 256 columns"},
        BadField{"bev_config.json", "/cropped_height", "128", "exceeds the camera 128x96"},
        BadField{"preprocessor_config.json", "/image_std", "[0.5]", "need 3 numbers"},
        BadField{"preprocessor_config.json", "/size/shortest_edge", "20000000",
                 "must be positive and ascending"},
        BadField{"preprocessor_config.json", "/size",
                 R"({"shortest_edge": 1000000000, "longest_edge": 2000000000})",
                 "frames of 96x64 38752x25824, sides may have 16384"},
        BadField{"preprocessor_config.json", "/resample", "2", "resample is 2, outside [3, 3]"},
        BadField{"preprocessor_config.json", "/patch_size", "14", "differ from config.json"},
        BadField{"automot_dims.json", "/slow_image_width", "12801", "aspect ratio of 12801x64"},
        BadField{"automot_dims.json", "/mot_head_dim", "40",
                 "mot_head_dim is 40, the tensor shapes say 20"},
        BadField{"automot_dims.json", "/connector_act", "\"tanh\"", "connector_act is \"tanh\""},
        BadField{"automot_dims.json", "/lexicon", "[]", "lexicon has 0 phrases"},
        BadField{"automot_dims.json", "/lexicon", "[1]",
                 "lexicon has an entry 0 that is not a string"}));

TEST_F(BrokenCheckpoint, RefusesADocumentThatIsNotJson) {
  WriteAll();
  std::ofstream(directory_ / "bev_config.json") << "{";
  EXPECT_THAT(OpenError(), HasSubstr("bev_config.json: not valid JSON"));
}

TEST_F(BrokenCheckpoint, RefusesADocumentThatNestsWithoutEnd) {
  WriteAll();
  std::ofstream(directory_ / "config.json") << "{\"a\":" << std::string(100000, '[');
  EXPECT_THAT(OpenError(), HasSubstr("config.json: nests deeper than the limit of 64"));
}

}  // namespace
}  // namespace automot::model
