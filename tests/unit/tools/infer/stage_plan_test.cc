// Which stages run for which inputs.
#include "tools/infer/stage_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace automot::infer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

absl::StatusOr<StagePlan> Plan(const std::set<std::string>& names,
                               const InferOptions& options = {}) {
  return PlanStages([&](const char* name) { return names.count(name) != 0; }, options);
}

std::string Complaint(const std::set<std::string>& names, const InferOptions& options = {}) {
  return std::string(Plan(names, options).status().message());
}

const std::set<std::string> kEverything = {
    "raw_frames", "prefix_ids", "instruction_ids", "pixel_values",  "grid_thw",
    "rgb",        "camera_rgb", "bev_feature",     "target_points", "lidar_hist_counts",
    "speed",      "k_cache",    "v_cache",         "position_start"};

TEST(StagePlanTest, EarliestEntryPointsWin) {
  const StagePlan plan = Plan(kEverything).value();
  EXPECT_EQ(plan.pixels, PixelSource::kRawFrames);
  EXPECT_EQ(plan.context, ContextSource::kPrefill);
  EXPECT_EQ(plan.bev, BevSource::kCroppedCamera);
  EXPECT_TRUE(plan.action);
  EXPECT_THAT(plan.notes, ElementsAre(HasSubstr("camera_rgb")));
}

TEST(StagePlanTest, OptionsChooseLaterEntryPoints) {
  const StagePlan pixels = Plan(kEverything, {.enter_at = {EntryPoint::kPixels}}).value();
  EXPECT_EQ(pixels.pixels, PixelSource::kPixelValues);
  EXPECT_EQ(pixels.context, ContextSource::kPrefill);
  const StagePlan late =
      Plan(kEverything, {.enter_at = {EntryPoint::kContext, EntryPoint::kBevFeature}}).value();
  EXPECT_FALSE(late.understanding_runs());
  EXPECT_EQ(late.context, ContextSource::kGiven);
  EXPECT_EQ(late.bev, BevSource::kGiven);
  EXPECT_TRUE(late.action);
}

TEST(StagePlanTest, PromptStandsForBothKindsOfIds) {
  const StagePlan plan = Plan({"raw_frames"}, {.prompt = "Drive."}).value();
  EXPECT_EQ(plan.context, ContextSource::kPrefill);
}

TEST(StagePlanTest, PicturesWithoutTextLeaveAGivenContextInPlace) {
  const StagePlan plan = Plan({"raw_frames", "k_cache", "v_cache", "position_start", "bev_feature",
                               "target_points", "speed"})
                             .value();
  EXPECT_TRUE(plan.understanding_runs());
  EXPECT_EQ(plan.context, ContextSource::kGiven);
  EXPECT_TRUE(plan.action);
}

TEST(StagePlanTest, ActionExpertThatCannotRunIsNotedWhereSomethingElseRuns) {
  const StagePlan plan = Plan({"rgb", "lidar_hist_counts", "target_points", "speed"}).value();
  EXPECT_TRUE(plan.bev_runs());
  EXPECT_FALSE(plan.action);
  EXPECT_THAT(plan.notes, ElementsAre(HasSubstr("a context")));
}

TEST(StagePlanTest, ErrorsNameTheMissingCompanion) {
  EXPECT_THAT(Complaint({"k_cache", "v_cache"}), HasSubstr("position_start is missing"));
  EXPECT_THAT(Complaint({"pixel_values"}), HasSubstr("grid_thw is missing"));
  EXPECT_THAT(Complaint({"raw_frames", "instruction_ids"}), HasSubstr("prefix_ids is missing"));
  EXPECT_THAT(Complaint({"prefix_ids", "instruction_ids"}), HasSubstr("raw_frames is missing"));
  EXPECT_THAT(Complaint({"camera_rgb"}), HasSubstr("lidar_hist_counts is missing"));
  EXPECT_THAT(Complaint({"rgb", "lidar_hist_counts", "speed"}),
              HasSubstr("target_points is missing"));
  EXPECT_THAT(Complaint({"rgb", "lidar_hist_counts"}, {.enter_at = {EntryPoint::kBevFeature}}),
              HasSubstr("bev_feature is missing"));
  EXPECT_THAT(Complaint({}), HasSubstr("nothing to run"));
  EXPECT_THAT(Complaint({"bev_feature", "target_points", "speed"}), HasSubstr("k_cache"));
}

}  // namespace
}  // namespace automot::infer
