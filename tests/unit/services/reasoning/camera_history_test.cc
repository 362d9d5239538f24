#include "services/reasoning/camera_history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/slow_observations.h"

namespace automot::reasoning {
namespace {

using ::testing::ElementsAre;

constexpr HistoryGrid kGrid = {.frames = 4, .spacing_us = 250'000, .tolerance_us = 60'000};

CameraHistory HistoryAt(std::initializer_list<SessionTimeUs> times) {
  CameraHistory history;
  for (SessionTimeUs time : times) history.Add(fakes::FlatFrame(time, 1));
  return history;
}

std::vector<SessionTimeUs> Times(const HistorySelection& selection) {
  std::vector<SessionTimeUs> times;
  for (const CameraFramePtr& frame : selection.frames) times.push_back(frame->capture_time_us);
  return times;
}

TEST(CameraHistory, TakesTheFramesOfTheGrid) {
  CameraHistory history;
  for (SessionTimeUs time = 0; time <= 1'000'000; time += 50'000)
    history.Add(fakes::FlatFrame(time, 1));
  const auto selection = history.Select(kGrid, 1'000'000);
  ASSERT_TRUE(selection);
  EXPECT_THAT(Times(*selection), ElementsAre(250'000, 500'000, 750'000, 1'000'000));
  EXPECT_EQ(selection->error_us, 0);
  EXPECT_FALSE(selection->short_history);
}

TEST(CameraHistory, NearestFrameWithinToleranceWinsEvenWhenNewer) {
  const auto selection =
      HistoryAt({0, 200'000, 260'000, 500'000, 810'000, 1'000'000}).Select(kGrid, 1'000'000);
  ASSERT_TRUE(selection);
  EXPECT_THAT(Times(*selection), ElementsAre(260'000, 500'000, 810'000, 1'000'000));
  EXPECT_EQ(selection->error_us, 60'000);
  EXPECT_FALSE(selection->short_history);
}

TEST(CameraHistory, BeyondToleranceTheNearestOlderFrameIsTakenAndTheErrorSaid) {
  const auto selection = HistoryAt({100'000, 500'000, 811'000, 1'000'000}).Select(kGrid, 1'000'000);
  ASSERT_TRUE(selection);
  EXPECT_THAT(Times(*selection), ElementsAre(100'000, 500'000, 500'000, 1'000'000));
  EXPECT_EQ(selection->error_us, 250'000);
  EXPECT_TRUE(selection->short_history);
}

TEST(CameraHistory, FirstFrameIsRepeated) {
  const auto selection = HistoryAt({70'000}).Select(kGrid, 70'000);
  ASSERT_TRUE(selection);
  EXPECT_THAT(Times(*selection), ElementsAre(70'000, 70'000, 70'000, 70'000));
  EXPECT_EQ(selection->error_us, 750'000);
  EXPECT_TRUE(selection->short_history);
}

TEST(CameraHistory, FramesAfterTheAnchorAreNeverUsed) {
  const auto selection =
      HistoryAt({0, 300'000})
          .Select({.frames = 2, .spacing_us = 250'000, .tolerance_us = 60'000}, 299'999);
  ASSERT_TRUE(selection);
  EXPECT_THAT(Times(*selection), ElementsAre(0, 0));
  EXPECT_FALSE(HistoryAt({300'000}).Select(kGrid, 299'999));
}

TEST(CameraHistory, LateFramesFindTheirPlaceAndRepeatsAreDropped) {
  CameraHistory history = HistoryAt({0, 500'000});
  EXPECT_TRUE(history.Add(fakes::FlatFrame(250'000, 7)));
  EXPECT_FALSE(history.Add(fakes::FlatFrame(250'000, 8)));
  const auto selection = history.Select({.frames = 3, .spacing_us = 250'000}, 500'000);
  ASSERT_TRUE(selection);
  EXPECT_THAT(Times(*selection), ElementsAre(0, 250'000, 500'000));
  EXPECT_EQ(selection->frames[1]->image->pixels[0], 7);
}

TEST(CameraHistory, FullRingLosesTheOldest) {
  CameraHistory history(2);
  EXPECT_TRUE(history.Add(fakes::FlatFrame(10, 1)));
  EXPECT_TRUE(history.Add(fakes::FlatFrame(20, 1)));
  EXPECT_FALSE(history.Add(fakes::FlatFrame(5, 1)));
  EXPECT_TRUE(history.Add(fakes::FlatFrame(15, 1)));
  EXPECT_EQ(history.size(), 2U);
  EXPECT_EQ(history.NewestUntil(14), std::nullopt);
  EXPECT_EQ(history.NewestUntil(19), 15);
}

}  // namespace
}  // namespace automot::reasoning
