#include "common/metrics/loop_pace.h"

#include <gtest/gtest.h>

#include <memory>

namespace automot::metrics {
namespace {

class LoopPaceTest : public ::testing::Test {
 protected:
  // A result of a 20 Hz session in real time.
  static LoopPace::Result At(double wall_s, double capture_s) {
    return {.session = 1,
            .episode = 1,
            .wall_s = wall_s,
            .capture_time_us = static_cast<SessionTimeUs>(capture_s * 1e6),
            .rate_hz = 20.0,
            .real_time = true};
  }
  std::unique_ptr<LoopPace> pace_ = std::make_unique<LoopPace>();
};

TEST_F(LoopPaceTest, MeasuresWallPeriodAndItsDistanceFromTheDeclaredOne) {
  EXPECT_FALSE(pace_->Observe(At(1.0, 0.0)));
  const auto step = pace_->Observe(At(1.08, 0.05));
  ASSERT_TRUE(step);
  EXPECT_NEAR(step->period_s, 0.08, 1e-9);
  ASSERT_TRUE(step->jitter_s);
  EXPECT_NEAR(*step->jitter_s, 0.03, 1e-9);
  EXPECT_EQ(step->missed_ticks, 0U);
}

TEST_F(LoopPaceTest, CountsTicksOfSessionTimeThatHaveNoResult) {
  pace_->Observe(At(0.0, 0.0));
  EXPECT_EQ(pace_->Observe(At(0.05, 0.07))->missed_ticks, 0U);
  EXPECT_EQ(pace_->Observe(At(0.2, 0.27))->missed_ticks, 3U);
  LoopPace::Result jumped = At(0.25, 5.27);
  jumped.time_jump = true;
  EXPECT_EQ(pace_->Observe(jumped)->missed_ticks, 0U);
}

TEST_F(LoopPaceTest, SteppedSessionsHaveNoJitter) {
  LoopPace::Result result = At(0.0, 0.0);
  result.real_time = false;
  pace_->Observe(result);
  result.wall_s = 3.0;
  result.capture_time_us = 50'000;
  const auto step = pace_->Observe(result);
  ASSERT_TRUE(step);
  EXPECT_FALSE(step->jitter_s);
}

TEST_F(LoopPaceTest, StartsAnewWithAnEpisodeAndWithASessionInTheSamePlace) {
  pace_->Observe(At(0.0, 10.0));
  LoopPace::Result reset = At(0.05, 0.0);
  reset.episode = 2;
  EXPECT_FALSE(pace_->Observe(reset));
  LoopPace::Result other = At(0.1, 0.05);
  other.session = 1 + LoopPace::kSlots;
  EXPECT_FALSE(pace_->Observe(other));
}

TEST_F(LoopPaceTest, KeepsSessionsApart) {
  LoopPace::Result other = At(0.02, 7.0);
  other.session = 2;
  pace_->Observe(At(0.0, 0.0));
  EXPECT_FALSE(pace_->Observe(other));
  const auto step = pace_->Observe(At(0.05, 0.05));
  ASSERT_TRUE(step);
  EXPECT_NEAR(step->period_s, 0.05, 1e-9);
}

}  // namespace
}  // namespace automot::metrics
