#include "services/planning/policy/history_grid.h"

#include <gtest/gtest.h>

#include <vector>

namespace automot::planning {
namespace {

std::vector<std::size_t> Indices(const HistoryChoice& choice) {
  std::vector<std::size_t> indices;
  for (int i = 0; i < choice.frames; ++i) indices.push_back(choice.places[i].index);
  return indices;
}

std::vector<SessionTimeUs> Errors(const HistoryChoice& choice) {
  std::vector<SessionTimeUs> errors;
  for (int i = 0; i < choice.frames; ++i) errors.push_back(choice.places[i].error_us);
  return errors;
}

HistoryChoice Choose(const std::vector<SessionTimeUs>& times_us) {
  const auto choice = ChooseHistory({}, times_us);
  EXPECT_TRUE(choice.has_value());
  return choice.value_or(HistoryChoice{});
}

TEST(HistoryGrid, TakesEveryFifthFrameOfATwentyHertzCamera) {
  std::vector<SessionTimeUs> times;
  for (int i = 0; i < 20; ++i) times.push_back(i * 50'000);
  const HistoryChoice choice = Choose(times);
  EXPECT_EQ(Indices(choice), (std::vector<std::size_t>{4, 9, 14, 19}));
  EXPECT_EQ(Errors(choice), (std::vector<SessionTimeUs>{0, 0, 0, 0}));
  EXPECT_FALSE(choice.short_history);
}

TEST(HistoryGrid, TakesTheNearestFrameWithinTheToleranceOnEitherSide) {
  // Places: 0, 250, 500, 750 ms.
  const HistoryChoice choice = Choose({0, 190'000, 310'000, 505'000, 750'000});
  EXPECT_EQ(Indices(choice), (std::vector<std::size_t>{0, 1, 3, 4})) << "the older of two equals";
  EXPECT_EQ(Errors(choice), (std::vector<SessionTimeUs>{0, -60'000, 5'000, 0}));
  EXPECT_FALSE(choice.short_history);
  EXPECT_EQ(Indices(Choose({0, 180'000, 310'000, 505'000, 750'000}))[1], 2U);
}

TEST(HistoryGrid, TakesTheNearestOlderFrameBeyondTheTolerance) {
  // The place at 250 ms: 311 ms is 61 ms too new, so it is 100 ms, with its error.
  const HistoryChoice choice = Choose({0, 100'000, 311'000, 500'000, 750'000});
  EXPECT_EQ(Indices(choice), (std::vector<std::size_t>{0, 1, 3, 4}));
  EXPECT_EQ(choice.places[1].error_us, -150'000);
  EXPECT_TRUE(choice.short_history);
}

TEST(HistoryGrid, RepeatsTheOldestFrameWhereTheHistoryIsMissing) {
  const HistoryChoice choice = Choose({1'000'000});
  EXPECT_EQ(Indices(choice), (std::vector<std::size_t>{0, 0, 0, 0}));
  EXPECT_EQ(Errors(choice), (std::vector<SessionTimeUs>{750'000, 500'000, 250'000, 0}));
  EXPECT_TRUE(choice.short_history);
}

TEST(HistoryGrid, IsShortFromTheFirstMicrosecondBeyondTheTolerance) {
  EXPECT_FALSE(Choose({-60'000, 250'000, 500'000, 750'000}).short_history);
  EXPECT_TRUE(Choose({-60'001, 250'000, 500'000, 750'000}).short_history);
}

TEST(HistoryGrid, ServesOtherSpacingsAndRefusesSizesThatItDoesNotHold) {
  const std::vector<SessionTimeUs> times = {0, 500'000, 1'000'000};
  EXPECT_EQ(Indices(*ChooseHistory({.frames = 3, .spacing_us = 500'000}, times)),
            (std::vector<std::size_t>{0, 1, 2}));
  EXPECT_FALSE(ChooseHistory({.frames = 0}, times));
  EXPECT_FALSE(ChooseHistory({.frames = HistoryGrid::kMaxFrames + 1}, times));
  EXPECT_FALSE(ChooseHistory({}, {}));
}

}  // namespace
}  // namespace automot::planning
