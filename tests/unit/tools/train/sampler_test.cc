#include "tools/train/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "tests/unit/tools/train/synthetic_dataset.h"

namespace automot::train {
namespace {

using ::testing::HasSubstr;

class Sampling : public testing::Test {
 protected:
  Sampling() : root_(FreshDirectory("sampling")) {
    WriteSyntheticSplit(root_, "train");
    auto dataset = OpenDataset(root_, "train");
    EXPECT_TRUE(dataset.ok()) << dataset.status();
    dataset_ = std::move(*dataset);
  }
  ~Sampling() override { std::filesystem::remove_all(root_); }

  Sampler Make(const SamplerOptions& options) {
    auto sampler = Sampler::Create(dataset_, options);
    EXPECT_TRUE(sampler.ok()) << sampler.status();
    return *sampler;
  }
  static SamplerOptions Undisturbed() {
    return {.braking_share = 0,
            .lidar_dropout = 0,
            .half_sweep = 0,
            .camera_dropout = 0,
            .history_dropout = 0,
            .frame_dropout = 0};
  }

  const std::string root_;
  Dataset dataset_;
};

TEST_F(Sampling, StalenessCoversItsRangeOnTheFrameGrid) {
  const Sampler sampler = Make(Undisturbed());
  std::set<int64_t> seen;
  for (int64_t step = 0; step < 2000; ++step) {
    const PlanSample sample = sampler.Plan(step, 0);
    EXPECT_EQ(sample.now.episode, sample.context.episode);
    const int64_t staleness = sample.now.frame - sample.context.frame;  // tenths of a second
    ASSERT_GE(staleness, 0);
    ASSERT_LE(staleness, 10);
    ASSERT_GE(sample.context.frame, 0);
    seen.insert(staleness);
  }
  EXPECT_EQ(seen.size(), 11u);
}

TEST_F(Sampling, UnusableFramesAreNeverLearnt) {
  const Sampler sampler = Make({.braking_share = 0.5});
  EXPECT_EQ(sampler.usable_frames(), 50);
  for (int64_t step = 0; step < 500; ++step) EXPECT_LT(sampler.Plan(step, 3).now.frame, 25);
}

TEST_F(Sampling, BrakingFramesComeAsOftenAsAsked) {
  SamplerOptions options = Undisturbed();
  options.braking_share = 1.0;
  const Sampler sampler = Make(options);
  EXPECT_EQ(sampler.braking_frames(), 25);  // of the episode that stops
  for (int64_t step = 0; step < 100; ++step) EXPECT_EQ(sampler.Plan(step, 0).now.episode, 0);
}

TEST_F(Sampling, TheHistoryIsWhatTheServiceWouldChoose) {
  SamplerOptions options = Undisturbed();
  options.history_spacing_us = 200'000;
  const Sampler sampler = Make(options);
  for (int64_t step = 0; step < 200; ++step) {
    const PlanSample sample = sampler.Plan(step, 0);
    ASSERT_EQ(sample.history.size(), 4u);
    for (int64_t i = 0; i < 4; ++i) {
      const int64_t wanted = sample.context.frame - 2 * (3 - i);
      // Before the first frame there is only that.
      EXPECT_EQ(sample.history[static_cast<size_t>(i)].frame, std::max<int64_t>(wanted, 0));
    }
  }
}

TEST_F(Sampling, WithoutHistoryTheNewestFrameIsAll) {
  SamplerOptions options = Undisturbed();
  options.history_dropout = 1.0;
  const PlanSample sample = Make(options).Plan(7, 1);
  for (const FrameRef& frame : sample.history) EXPECT_EQ(frame, sample.context);
}

TEST_F(Sampling, ASampleDependsOnSeedStepAndPlaceAlone) {
  const Sampler first = Make({.seed = 3}), same = Make({.seed = 3}), other = Make({.seed = 4});
  int differ_seed = 0, differ_place = 0;
  for (int64_t step = 0; step < 50; ++step) {
    EXPECT_EQ(first.Plan(step, 2).now, same.Plan(step, 2).now);
    EXPECT_EQ(first.Plan(step, 2).history, same.Plan(step, 2).history);
    differ_seed += first.Plan(step, 2).now != other.Plan(step, 2).now ? 1 : 0;
    differ_place += first.Plan(step, 2).now != first.Plan(step, 3).now ? 1 : 0;
  }
  EXPECT_GT(differ_seed, 25);
  EXPECT_GT(differ_place, 25);
}

TEST_F(Sampling, NeighboursShareAContextThatIsOldEnoughForEach) {
  SamplerOptions options = Undisturbed();
  options.plans_per_context = 4;
  options.max_staleness_us = 700'000;
  const Sampler sampler = Make(options);
  std::set<int64_t> staleness;
  for (int64_t step = 0; step < 300; ++step) {
    const PlanSample first = sampler.Plan(step, 4);
    EXPECT_EQ(first.first_place, 4);
    EXPECT_EQ(sampler.Plan(step, 3).first_place, 0);
    for (int64_t place = 5; place < 8; ++place) {
      const PlanSample other = sampler.Plan(step, place);
      EXPECT_EQ(other.first_place, 4);
      EXPECT_EQ(other.context, first.context);
      EXPECT_EQ(other.history, first.history);
      EXPECT_EQ(other.flip, first.flip);
      EXPECT_EQ(other.now.episode, first.context.episode);
      EXPECT_LT(other.now.frame, 25);  // later ones are not usable
      staleness.insert(other.now.frame - other.context.frame);
    }
  }
  EXPECT_EQ(*staleness.begin(), 0);
  EXPECT_EQ(*staleness.rbegin(), 7);
  EXPECT_EQ(staleness.size(), 8u);
}

TEST_F(Sampling, LidarIsDroppedAndHalved) {
  SamplerOptions options = Undisturbed();
  options.lidar_dropout = 0.3;
  options.half_sweep = 0.3;
  const Sampler sampler = Make(options);
  std::set<LidarUse> seen;
  for (int64_t step = 0; step < 100; ++step) seen.insert(sampler.Plan(step, 0).lidar);
  EXPECT_EQ(seen.size(), 4u);
}

TEST_F(Sampling, ContextsAreHiddenAsOftenAsAskedAndNothingElseChanges) {
  SamplerOptions options;
  const Sampler seen = Make(options);
  options.context_dropout = 0.3;
  const Sampler sampler = Make(options);
  int hidden = 0;
  for (int64_t step = 0; step < 300; ++step) {
    const PlanSample sample = sampler.Plan(step, 1), other = seen.Plan(step, 1);
    hidden += sample.context_hidden ? 1 : 0;
    EXPECT_FALSE(other.context_hidden);
    EXPECT_EQ(sample.now, other.now);
    EXPECT_EQ(sample.lidar, other.lidar);
  }
  EXPECT_GT(hidden, 60);
  EXPECT_LT(hidden, 120);
}

TEST_F(Sampling, QuestionsComeWithTheirFrame) {
  const Sampler sampler = Make({});
  EXPECT_EQ(sampler.questions(), 60);
  const QuestionSample sample = sampler.Ask(1, 1);
  EXPECT_EQ(sample.question->frame, sample.frame.frame);
  EXPECT_EQ(sample.question->answer, sample.frame.episode == 0 ? "no" : "yes");
}

TEST_F(Sampling, QuestionsOfALeftOutFamilyAreNotDrawn) {
  SamplerOptions options;
  options.left_out_families = {"other", "ahead"};
  const Sampler sampler = Make(options);
  EXPECT_EQ(sampler.questions(), 0);
  EXPECT_EQ(sampler.left_out_questions(), 60);
  options.left_out_families = {"other"};
  EXPECT_EQ(Make(options).questions(), 60);
}

TEST_F(Sampling, BadOptionsAndDatasetsAreNamed) {
  EXPECT_THAT(std::string(ValidateSampler({.flip = 1.5}).message()), HasSubstr("flip is 1.5"));
  EXPECT_EQ(OpenDataset(root_, "test").status().code(), absl::StatusCode::kNotFound);
  std::ofstream(root_ + "/train/seed_0/episode.json") << R"({"version": 2, "frames": 30})";
  const absl::Status status = OpenDataset(root_, "train").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("version"));
}

TEST_F(Sampling, LidarBecomesDense) {
  std::vector<uint8_t> counts(256 * 256, 0);
  dataset_.episodes[0]->FillLidar(4, absl::MakeSpan(counts));
  EXPECT_EQ(counts[120 * 256 + 150], 3);
  EXPECT_EQ(std::count(counts.begin(), counts.end(), 3), 200);
}

}  // namespace
}  // namespace automot::train
