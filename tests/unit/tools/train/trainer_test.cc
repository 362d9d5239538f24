// Whole trainings of the tiny checkpoint on a synthetic dataset.
#include "tools/train/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/model/action_model.h"
#include "common/model/understanding_model.h"
#include "tests/unit/tools/train/synthetic_dataset.h"
#include "tools/train/checkpoint_writer.h"
#include "tools/train/context_maker.h"

namespace automot::train {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr char kTiny[] = AUTOMOT_SOURCE_DIR "/tests/golden/data/tiny";

// Values of one column of losses.csv.
std::vector<double> Column(const std::string& run, const std::string& name) {
  std::ifstream file(run + "/losses.csv");
  std::string line;
  std::getline(file, line);
  const std::vector<std::string> header = absl::StrSplit(line, ',');
  const auto at =
      static_cast<size_t>(std::find(header.begin(), header.end(), name) - header.begin());
  std::vector<double> values;
  while (std::getline(file, line)) {
    const std::vector<std::string> cells = absl::StrSplit(line, ',');
    values.push_back(std::stod(cells.at(at)));
  }
  return values;
}

double MeanOfLast(const std::vector<double>& values, size_t count) {
  double sum = 0;
  for (size_t i = values.size() - count; i < values.size(); ++i) sum += values[i];
  return sum / static_cast<double>(count);
}

class Training : public testing::Test {
 protected:
  Training() : root_(FreshDirectory("training")) {
    WriteSyntheticSplit(root_ + "/data", "train");
    options_.init = kTiny;
    options_.dataset = root_ + "/data";
    options_.out = root_ + "/run";
    options_.log_every = 1;
    options_.save_every = 1000;
    options_.action.batch = 4;
    options_.optimizer.warm_up_steps = 5;
    options_.optimizer.steps = 60;
    options_.optimizer.peak_rate = 2e-3;
    options_.optimizer.ema = 0.9;
  }
  ~Training() override { fs::remove_all(root_); }

  absl::Status Run(const TrainOptions& options) {
    return RunTraining(options, [this](const std::string& line) { lines_.push_back(line); });
  }

  const std::string root_;
  TrainOptions options_;
  std::vector<std::string> lines_;
};

TEST_F(Training, TheActionExpertLearnsAndIsServed) {
  const absl::Status status = Run(options_);
  ASSERT_TRUE(status.ok()) << status;
  const std::vector<double> loss = Column(options_.out, "loss");
  ASSERT_EQ(loss.size(), 60u);
  EXPECT_LT(MeanOfLast(loss, 5), 0.35 * (loss[0] + loss[1] + loss[2]) / 3);
  EXPECT_THAT(lines_.back(), HasSubstr("samples/s | ETA 0h00m00s"));
  // The last lines are what services load.
  for (const char* name : {"/checkpoint", "/final"}) {
    auto checkpoint = model::Checkpoint::Open(options_.out + name);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    EXPECT_TRUE((*checkpoint)->geometry().weights_trained);
    auto tokenizer = model::Tokenizer::Load((*checkpoint)->tokenizer_path());
    ASSERT_TRUE(tokenizer.ok());
    EXPECT_TRUE(model::ActionModel::Load(**checkpoint, **tokenizer, {}).ok());
    EXPECT_TRUE(model::UnderstandingModel::Load(**checkpoint, {}).ok());
  }
  EXPECT_TRUE(model::Checkpoint::Open(options_.out + "/checkpoint", {.use_ema = true}).ok());
  EXPECT_TRUE(fs::exists(options_.out + "/summary.json"));
}

TEST_F(Training, OneBatchIsLearntByHeart) {
  // One sample, seen again and again.
  WriteSyntheticSplit(root_ + "/one", "train", {.episodes = 1, .frames = 6});
  options_.dataset = root_ + "/one";
  options_.sampler.max_staleness_us = 0;
  options_.sampler.braking_share = options_.sampler.lidar_dropout = options_.sampler.half_sweep = 0;
  options_.sampler.camera_dropout = options_.sampler.history_dropout = 0;
  options_.action.batch = 2;
  options_.action.batch_statistics = false;
  options_.optimizer.steps = 150;
  const absl::Status status = Run(options_);
  ASSERT_TRUE(status.ok()) << status;
  const std::vector<double> loss = Column(options_.out, "loss");
  EXPECT_LT(MeanOfLast(loss, 3), 0.05 * loss[0]);
  EXPECT_EQ(Column(options_.out, "decisions_right").back(), 1.0);
  EXPECT_LT(Column(options_.out, "l2_3s_m").back(), 0.5);
}

TEST_F(Training, TheUnderstandingExpertLearnsItsAnswers) {
  options_.stage = Stage::kUnderstanding;
  options_.optimizer.steps = 60;
  options_.optimizer.peak_rate = 1e-3;
  const absl::Status status = Run(options_);
  ASSERT_TRUE(status.ok()) << status;
  const std::vector<double> loss = Column(options_.out, "loss");
  EXPECT_LT(MeanOfLast(loss, 5), 0.1 * loss[0]);
  EXPECT_GT(MeanOfLast(Column(options_.out, "answers_exact"), 5), 0.9);
}

// Every understanding weight that a context comes from moves; where it is frozen, none.
TEST_F(Training, TheUnderstandingExpertIsTrainedWithTheActionExpertWhereAsked) {
  constexpr char kVision[] = "vision_model.patch_embed.proj.weight";
  constexpr char kKeys[] = "language_model.model.layers.1.self_attn.k_proj.weight";
  options_.optimizer.steps = 2;
  options_.optimizer.warm_up_steps = 0;
  TrainOptions joint = options_;
  joint.out = root_ + "/joint";
  joint.action.train_understanding = true;
  const absl::Status status = Run(joint);
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_TRUE(Run(options_).ok());
  auto init = model::Checkpoint::Open(kTiny);
  auto frozen = model::Checkpoint::Open(options_.out + "/final");
  auto trained = model::Checkpoint::Open(joint.out + "/final");
  ASSERT_TRUE(init.ok() && frozen.ok() && trained.ok());
  const auto before = Parameters::Load(**init, at::kCPU),
             after = Parameters::Load(**trained, at::kCPU);
  const auto same = Parameters::Load(**frozen, at::kCPU);
  for (const char* name : {kVision, kKeys}) {
    EXPECT_FALSE(after->tensors().at(name).equal(before->tensors().at(name))) << name;
    EXPECT_TRUE(same->tensors().at(name).equal(before->tensors().at(name))) << name;
  }
  // The first losses are of the same weights: contexts are the same, frozen or not.
  EXPECT_NEAR(Column(joint.out, "loss")[0], Column(options_.out, "loss")[0], 1e-3);
}

TEST_F(Training, VariantsOfAnotherStageAreRefused) {
  options_.stage = Stage::kUnderstanding;
  options_.action.train_understanding = true;
  EXPECT_THAT(std::string(Run(options_).message()), HasSubstr("train_understanding"));
  options_.action.train_understanding = false;
  options_.sampler.left_out_families = {"ahead"};
  EXPECT_EQ(Run(options_).code(), absl::StatusCode::kNotFound);  // nothing is left to teach
  options_.stage = Stage::kAction;
  EXPECT_THAT(std::string(Run(options_).message()), HasSubstr("left_out_families"));
}

// Stopped and resumed is the same, bit for bit, as never stopped.
TEST_F(Training, AResumedRunTakesTheVeryNextStep) {
  options_.optimizer.steps = 8;
  TrainOptions whole = options_;
  whole.out = root_ + "/whole";
  ASSERT_TRUE(Run(whole).ok());
  options_.stop_after = 3;
  ASSERT_TRUE(Run(options_).ok());
  EXPECT_FALSE(fs::exists(options_.out + "/final"));
  options_.stop_after = 0;
  EXPECT_EQ(Run(options_).code(), absl::StatusCode::kFailedPrecondition);
  options_.resume = true;
  const absl::Status status = Run(options_);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(Column(options_.out, "loss"), Column(whole.out, "loss"));
  const auto one = ReadTrainingState(options_.out + "/checkpoint");
  const auto two = ReadTrainingState(whole.out + "/checkpoint");
  ASSERT_TRUE(one.ok() && two.ok());
  ASSERT_EQ(one->tensors.size(), two->tensors.size());
  for (const auto& [name, tensor] : one->tensors) {
    ASSERT_TRUE(tensor.equal(two->tensors.at(name))) << name;
  }
  EXPECT_EQ(one->metadata, two->metadata);
}

TEST_F(Training, ARunIsNotResumedUnderAnotherRecipe) {
  options_.optimizer.steps = 2;
  ASSERT_TRUE(Run(options_).ok());
  options_.resume = true;
  options_.optimizer.peak_rate = 1.0;
  const absl::Status status = Run(options_);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("learning_rate is 1.0"));
}

TEST_F(Training, DataOfAnotherTargetPointRuleAreRefused) {
  WriteSyntheticSplit(root_ + "/other", "train", {.target_point_rule = "route_distance:8,20"});
  options_.dataset = root_ + "/other";
  const absl::Status status = Run(options_);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("target points by route_distance:8,20, the checkpoint declares"));
}

TEST_F(Training, ValidationLeavesTheWeightsAlone) {
  WriteSyntheticSplit(root_ + "/data", "validation");
  options_.optimizer.steps = 4;
  TrainOptions validated = options_;
  validated.out = root_ + "/validated";
  validated.validate_every = 2;
  validated.validation_batches = 2;
  ASSERT_TRUE(Run(options_).ok());
  ASSERT_TRUE(Run(validated).ok());
  const auto one = ReadTrainingState(options_.out + "/checkpoint");
  const auto two = ReadTrainingState(validated.out + "/checkpoint");
  ASSERT_TRUE(one.ok() && two.ok());
  for (const auto& [name, tensor] : one->tensors) {
    ASSERT_TRUE(tensor.equal(two->tensors.at(name))) << name;
  }
  EXPECT_EQ(Column(validated.out, "loss").size(), 6u);
}

// A mirrored sample is the sample of the mirrored world.
TEST_F(Training, FlippedSamplesAreMirrored) {
  auto checkpoint = model::Checkpoint::Open(kTiny);
  auto tokenizer = model::Tokenizer::Load((*checkpoint)->tokenizer_path());
  auto dataset = OpenDataset(options_.dataset, "train");
  ASSERT_TRUE(dataset.ok());
  auto loader = BatchLoader::Create(*dataset, (*checkpoint)->geometry(), **tokenizer);
  ASSERT_TRUE(loader.ok()) << loader.status();
  PlanSample sample{.now = {0, 4}};
  PlanSample mirrored = sample;
  mirrored.flip = true;
  PlanSample left = sample;
  left.lidar = LidarUse::kLeft;
  auto batch = loader->Load({sample, mirrored, left});
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_TRUE(batch->rgb[1].equal(batch->rgb[0].flip({1})));
  EXPECT_TRUE(batch->lidar_counts[1].equal(batch->lidar_counts[0].flip({1})));
  EXPECT_FALSE(batch->lidar_counts[1].equal(batch->lidar_counts[0]));
  const at::Tensor signs = at::tensor({1.0F, -1.0F});
  EXPECT_TRUE(batch->target_points[1].equal(batch->target_points[0] * signs));
  EXPECT_TRUE(batch->waypoints[1].equal(batch->waypoints[0] * signs));
  EXPECT_TRUE(batch->route[1].equal(batch->route[0] * signs));
  EXPECT_TRUE(batch->future_speeds[1].equal(batch->future_speeds[0]));
  // Rows 0..127 are to the left.
  EXPECT_TRUE(batch->lidar_counts[2][0].narrow(0, 128, 128).eq(0).all().item<bool>());
  EXPECT_TRUE(batch->lidar_counts[2][0].narrow(0, 0, 128).equal(
      batch->lidar_counts[0][0].narrow(0, 0, 128)));
  // im_start, " stop" "," " stop" "," " stop", im_end, and one slot without a label.
  EXPECT_EQ(batch->decisions[0][0].item<int64_t>(), (*checkpoint)->geometry().tokens.im_start);
  EXPECT_EQ(batch->decisions[0][6].item<int64_t>(), (*checkpoint)->geometry().tokens.im_end);
  EXPECT_EQ(batch->decisions[0][7].item<int64_t>(), -100);
}

}  // namespace
}  // namespace automot::train
