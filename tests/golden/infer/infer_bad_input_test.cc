// What automot-infer refuses: exit status 1 or 2, one line that names the culprit, and an output
// file that is what it was.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "tests/golden/infer/infer_fixture.h"

namespace automot::golden {
namespace {

using ::testing::HasSubstr;

class InferBadInput : public InferTest {
 protected:
  InferBadInput() : fast_(FastInputs()) { std::ofstream(output_path()) << "as before"; }

  void ExpectRefusal(const support::ProgramResult& program,
                     const std::vector<std::string>& words) const {
    EXPECT_THAT(program.exit_code, testing::AnyOf(1, 2));
    EXPECT_EQ(std::count(program.err.begin(), program.err.end(), '\n'), 1) << program.err;
    for (const std::string& word : words) EXPECT_THAT(program.err, HasSubstr(word));
    std::stringstream left;
    left << std::ifstream(output_path()).rdbuf();
    EXPECT_EQ(left.str(), "as before");
  }
  void ExpectRefused(const Tensors& inputs, const std::vector<std::string>& words,
                     const std::vector<std::string>& options = {}) const {
    ExpectRefusal(Run(inputs, options).program, words);
  }
  Tensors Without(const char* name) const {
    Tensors inputs = fast_;
    inputs.erase(name);
    return inputs;
  }
  Tensors With(const char* name, const at::Tensor& tensor) const {
    Tensors inputs = fast_;
    inputs[name] = tensor;
    return inputs;
  }

  Tensors fast_;
};

TEST_F(InferBadInput, MissingFileIsNamed) { ExpectRefusal(RunOnFile(), {input_path()}); }

TEST_F(InferBadInput, MissingCheckpointIsNamed) {
  ExpectRefused(fast_, {"/nowhere"}, {"--checkpoint", "/nowhere"});
}

TEST_F(InferBadInput, TruncatedFileIsNamed) {
  ASSERT_EQ(Run(Without("speed")).program.exit_code, 1);
  std::filesystem::resize_file(input_path(), std::filesystem::file_size(input_path()) / 2);
  ExpectRefusal(RunOnFile(), {input_path()});
  std::ofstream(input_path()) << "abc";
  ExpectRefusal(RunOnFile(), {input_path()});
}

TEST_F(InferBadInput, UnknownNameIsNamed) {
  ExpectRefused(With("k_cash", fast_.at("k_cache")), {"k_cash"});
}

TEST_F(InferBadInput, WrongDtypeIsNamedWithTheRightOne) {
  ExpectRefused(With("speed", fast_.at("speed").to(at::kDouble)), {"speed", "F64", "F32"});
  ExpectRefused(With("position_start", at::tensor({125}, at::kInt)),
                {"position_start", "I32", "I64"});
}

TEST_F(InferBadInput, WrongShapeIsNamedWithTheRightOne) {
  ExpectRefused(With("k_cache", fast_.at("k_cache")[0]), {"k_cache", "[137, 2, 32]", "layers"});
  ExpectRefused(With("k_cache", fast_.at("k_cache").narrow(3, 0, 31)), {"k_cache", "31", "32"});
  ExpectRefused(With("v_cache", fast_.at("v_cache").narrow(1, 0, 136)), {"v_cache", "136", "137"});
  ExpectRefused(With("bev_feature", fast_.at("bev_feature").narrow(0, 0, 47)),
                {"bev_feature", "47", "48"});
  ExpectRefused(With("target_points", fast_.at("target_points")[0]), {"target_points", "[2]"});
  ExpectRefused(With("position_start", at::tensor({int64_t{1}, int64_t{2}})),
                {"position_start", "[2]", "[1]"});
}

TEST_F(InferBadInput, EmptyTensorIsNamed) {
  ExpectRefused(With("speed", at::empty({0})), {"speed", "[0]"});
}

TEST_F(InferBadInput, BatchesThatDifferAreNamed) {
  ExpectRefused(With("speed", at::zeros({2})), {"bev_feature", "2"});
  ExpectRefused(With("k_cache", at::stack({fast_.at("k_cache"), fast_.at("k_cache")})),
                {"v_cache", "2"});
}

TEST_F(InferBadInput, PositionOutOfRangeIsNamedWithItsLimit) {
  ExpectRefused(With("position_start", at::tensor({int64_t{-1}})), {"position_start", "-1", "[0"});
}

TEST_F(InferBadInput, NumbersThatAreNotFiniteAreNamed) {
  const at::Tensor speed = at::full({1}, std::numeric_limits<float>::quiet_NaN());
  ExpectRefused(With("speed", speed), {"speed", "finite"});
}

TEST_F(InferBadInput, MissingCompanionIsNamed) {
  for (const char* name :
       {"k_cache", "v_cache", "position_start", "bev_feature", "target_points", "speed"}) {
    ExpectRefused(Without(name), {name});
  }
  const GoldenCase context("b_slow_A"), vision("a_vision"), bev("c_bev");
  for (const char* name : {"raw_frames", "prefix_ids", "instruction_ids"}) {
    Tensors inputs = InputsOf(context);
    inputs.erase(name);
    ExpectRefused(inputs, {name});
  }
  ExpectRefused({{"pixel_values", vision.Input("pixel_values")}}, {"grid_thw"});
  ExpectRefused({{"rgb", bev.Input("rgb")}}, {"lidar_hist_counts"});
  ExpectRefused({{"lidar_hist_counts", bev.Input("lidar_hist_counts")}}, {"rgb"});
  ExpectRefused({}, {"nothing to run"});
}

TEST_F(InferBadInput, PicturesThatDoNotFitAreNamed) {
  const GoldenCase vision("a_vision"), bev("c_bev");
  const at::Tensor rgb = bev.Input("rgb"), counts = bev.Input("lidar_hist_counts");
  ExpectRefused({{"rgb", rgb.narrow(1, 0, 32)}, {"lidar_hist_counts", counts}}, {"rgb", "32"});
  ExpectRefused({{"rgb", rgb}, {"lidar_hist_counts", counts[0]}}, {"lidar_hist_counts", "[3, 1"});
  ExpectRefused({{"camera_rgb", rgb[0]}, {"lidar_hist_counts", counts[0]}},
                {"camera_rgb", "64", "96"});
  ExpectRefused({{"raw_frames", at::zeros({1, 8, 8, 4}, at::kByte)}}, {"raw_frames", "4"});
  Tensors inputs = InputsOf(vision);
  inputs["grid_thw"] = inputs.at("grid_thw").narrow(0, 0, 3);
  ExpectRefused(inputs, {"pixel_values", "96", "72"});
  inputs["grid_thw"] = at::tensor({int64_t{2}, int64_t{4}, int64_t{6}}).expand({4, 3});
  ExpectRefused(inputs, {"grid_thw[0]", "2"});
}

TEST_F(InferBadInput, TokensOutsideTheVocabularyAreNamed) {
  Tensors inputs = InputsOf(GoldenCase("b_slow_A"));
  inputs["instruction_ids"][3] = 1024;
  ExpectRefused(inputs, {"instruction_ids[3]", "1024"});
}

TEST_F(InferBadInput, BadOptionsAreNamed) {
  ExpectRefused(fast_, {"--dtype", "float16"}, {"--dtype", "float16"});
  ExpectRefused(fast_, {"--nonsense"}, {"--nonsense"});
  ExpectRefused(fast_, {"--reuse", "-1"}, {"--reuse", "-1"});
  ExpectRefused(fast_, {"--enter-at"}, {"--enter-at", "pixels,context"});
  ExpectRefused(fast_, {"pixel_values"}, {"--enter-at", "pixels"});
  ExpectRefused(fast_, {"--device", "toaster"}, {"--device", "toaster"});
  ExpectRefused(fast_, {"--answer", "--prompt"}, {"--answer"});
  ExpectRefused(fast_, {"--answer", "raw_frames"}, {"--answer", "--prompt", "What is ahead?"});
}

TEST_F(InferBadInput, OutputThatCannotBeWrittenIsNamed) {
  ExpectRefused(fast_, {"/nowhere/out"}, {"--outputs", "/nowhere/out"});
}

}  // namespace
}  // namespace automot::golden
