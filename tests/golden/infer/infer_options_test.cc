// What the options of automot-infer change.
#include <gmock/gmock.h>

#include <fstream>

#include "common/image/crop.h"
#include "common/image/encode.h"
#include "tests/golden/infer/infer_fixture.h"

namespace automot::golden {
namespace {

using ::testing::HasSubstr;

class InferOptionsTest : public InferTest {};

TEST_F(InferOptionsTest, CompactContextIsWhatTheActionExpertReadsAndMayBeFedBack) {
  const GoldenCase golden("b_slow_A");
  const Tensors compact = RunOk(InputsOf(golden), {"--kv-layout", "compact"});
  ExpectClose(compact.at("k_cache"), golden.Expected("k_cache").narrow(2, 0, 1), kCacheTolerance,
              "k_cache");
  ExpectClose(compact.at("v_cache"), golden.Expected("v_cache").narrow(2, 0, 1).narrow(3, 0, 20),
              kCacheTolerance, "v_cache");
  Tensors inputs = FastInputs();
  for (const char* name : {"k_cache", "v_cache", "position_start"}) {
    inputs[name] = compact.at(name);
  }
  ExpectFastOutputs(RunOk(inputs), GoldenCase("d_fast"), "k0_");
}

TEST_F(InferOptionsTest, LexiconLogitsAreTheFullOnesAtTheirIds) {
  const Tensors outputs = RunOk(FastInputs(), {"--decision-logits", "lexicon"});
  EXPECT_EQ(outputs.count("logits"), 0U);
  const at::Tensor& ids = outputs.at("lexicon_ids");
  const at::Tensor expected = GoldenCase("d_fast").Expected("k0_logits").index_select(1, ids);
  ExpectClose(outputs.at("lexicon_logits")[0], expected, kLogitsTolerance, "lexicon_logits");
  ExpectEqual(outputs.at("pred_ids")[0], ids.index_select(0, expected.argmax(-1)), "pred_ids");
}

TEST_F(InferOptionsTest, PromptIsTokenisedInPlaceOfIds) {
  const GoldenCase golden("b_slow_A");
  const Tensors inputs = {{"raw_frames", golden.Input("raw_frames")}};
  const Tensors outputs =
      RunOk(inputs, {"--prompt", golden.json().at("prompt").get<std::string>()});
  ExpectEqual(outputs.at("input_ids"), golden.Expected("input_ids"), "input_ids");
  ExpectClose(outputs.at("v_cache"), golden.Expected("v_cache"), kCacheTolerance, "v_cache");
}

TEST_F(InferOptionsTest, AnswerIsTheTokensAndTheirText) {
  const GoldenCase golden("b_slow_A");
  const InferResult result = Run({{"raw_frames", golden.Input("raw_frames")}},
                                 {"--prompt", "What is ahead?", "--answer", "--max-tokens", "5"});
  ASSERT_EQ(result.program.exit_code, 0) << result.program.err;
  const at::Tensor ids = result.outputs.at("answer_ids");
  ASSERT_LE(ids.numel(), 5);
  const std::string text = TinyTokenizer().Decode(
      {ids.const_data_ptr<int64_t>(), static_cast<size_t>(ids.numel())}, /*skip_special=*/true);
  EXPECT_EQ(result.program.out, text + "\n");
}

// The camera picture of observation 0; its crop is rgb[0].
Tensors CameraInputs() {
  const GoldenCase golden("c_bev");
  return {{"camera_rgb", golden.Input("camera_rgb")},
          {"lidar_hist_counts", golden.Input("lidar_hist_counts")[0]}};
}

TEST_F(InferOptionsTest, CameraPictureIsOnlyCroppedWithoutTheJpegRoundTrip) {
  const Tensors outputs = RunOk(CameraInputs(), {"--jpeg-roundtrip", "off"});
  ExpectClose(outputs.at("bev_feature")[0], GoldenCase("c_bev").Expected("bev_feature")[0], 1e-4,
              "bev_feature");
}

TEST_F(InferOptionsTest, CameraPictureGoesThroughJpegByDefault) {
  const at::Tensor camera = CameraInputs().at("camera_rgb");
  RgbImage picture{.width = static_cast<int>(camera.size(1)),
                   .height = static_cast<int>(camera.size(0))};
  const auto* const bytes = camera.const_data_ptr<uint8_t>();
  picture.pixels.assign(bytes, bytes + camera.numel());
  RgbImage lossy = image::CropTopRows(image::JpegRoundTrip(picture).value(), 64).value();
  Tensors cropped = CameraInputs();
  cropped.erase("camera_rgb");
  cropped["rgb"] = at::from_blob(lossy.pixels.data(), {64, 128, 3}, at::kByte).clone();
  const at::Tensor feature = RunOk(CameraInputs()).at("bev_feature");
  ExpectClose(feature, RunOk(cropped).at("bev_feature"), 1e-6, "bev_feature");
  EXPECT_GT(
      (feature[0] - GoldenCase("c_bev").Expected("bev_feature")[0]).abs().max().item<double>(),
      1e-3)
      << "the round trip leaves traces";
}

TEST_F(InferOptionsTest, OptionsMayComeFromAFile) {
  const std::string config = folder() + "/infer.toml";
  std::ofstream(config) << "decision-logits = \"lexicon\"\n";
  EXPECT_EQ(RunOk(FastInputs(), {"--config", config}).count("lexicon_logits"), 1U);
}

TEST_F(InferOptionsTest, HelpNamesEveryInput) {
  const support::ProgramResult help = support::RunProgram("automot-infer", {"--help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const char* name : {"raw_frames", "prefix_ids", "instruction_ids", "pixel_values",
                           "grid_thw", "camera_rgb", "lidar_hist_counts", "bev_feature",
                           "target_points", "speed", "k_cache", "v_cache", "position_start"}) {
    EXPECT_THAT(help.out, HasSubstr(name));
  }
}

}  // namespace
}  // namespace automot::golden
