#include "tools/loadgen/load_profile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace automot::loadgen {
namespace {

std::vector<absl::Duration> StartsWithin(TickSchedule schedule, absl::Duration end) {
  std::vector<absl::Duration> starts;
  for (absl::Duration at = schedule.Next(); at < end; at = schedule.Next()) starts.push_back(at);
  return starts;
}

TEST(TickSchedule, KeepsTheRate) {
  const auto starts = StartsWithin(TickSchedule({.rate_hz = 20.0, .seed = 3}), absl::Seconds(100));
  EXPECT_EQ(starts.size(), 2000U);
  for (std::size_t i = 1; i < starts.size(); ++i) {
    EXPECT_NEAR(absl::ToDoubleMilliseconds(starts[i] - starts[i - 1]), 50.0, 1e-6);
  }
}

TEST(TickSchedule, JitterMovesStartsAndKeepsTheirNumberAndOrder) {
  const auto starts =
      StartsWithin(TickSchedule({.rate_hz = 20.0, .jitter = 1.0, .seed = 3}), absl::Seconds(100));
  EXPECT_NEAR(static_cast<double>(starts.size()), 2000.0, 1.0);
  bool moved = false;
  for (std::size_t i = 1; i < starts.size(); ++i) {
    EXPECT_GE(starts[i], starts[i - 1]);
    moved = moved || absl::AbsDuration(starts[i] - starts[i - 1] - absl::Milliseconds(50)) >
                         absl::Milliseconds(10);
  }
  EXPECT_TRUE(moved);
}

// Whoever asks late, as a vehicle does whose answer was late, is told the same starts.
TEST(TickSchedule, IntendedStartsDoNotDependOnWhenTheyAreAskedFor) {
  const TickSchedule::Options options{.rate_hz = 50.0, .jitter = 0.5, .seed = 9};
  TickSchedule prompt(options), stalled(options);
  std::vector<absl::Duration> early, late;
  for (int i = 0; i < 100; ++i) early.push_back(prompt.Next());
  for (int i = 0; i < 100; ++i) late.push_back(stalled.Next());
  EXPECT_EQ(early, late);
}

TEST(TickSchedule, VehiclesDoNotStartInStep) {
  EXPECT_NE(TickSchedule({.seed = 1}).Next(), TickSchedule({.seed = 2}).Next());
}

TEST(TickSchedule, RampRaisesTheRate) {
  const Ramp ramp{0.5, 2.0, absl::Seconds(10)};
  const auto starts =
      StartsWithin(TickSchedule({.rate_hz = 10.0, .ramp = ramp}), absl::Seconds(20));
  const auto until_ten = std::count_if(starts.begin(), starts.end(),
                                       [](absl::Duration at) { return at < absl::Seconds(10); });
  EXPECT_NEAR(static_cast<double>(until_ten), 125.0, 3.0);  // 1.25 on average
  EXPECT_NEAR(static_cast<double>(starts.size()) - static_cast<double>(until_ten), 200.0, 2.0);
}

TEST(Ramp, ReadsItsTextAndNamesWhatIsWrong) {
  const auto ramp = ParseRamp("0.5:2:30");
  ASSERT_TRUE(ramp.ok()) << ramp.status();
  EXPECT_EQ(ramp->At(absl::Seconds(15)), 1.25);
  EXPECT_EQ(ramp->At(absl::Seconds(99)), 2.0);
  EXPECT_EQ(ramp->At(absl::Seconds(-1)), 0.5);
  for (const char* const text : {"", "1:2", "1:2:x", "0:1:5", "1:5000:5", "1:2:-1", "nan:1:1"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseRamp(text).status())) << text;
  }
}

}  // namespace
}  // namespace automot::loadgen
