#include "tools/loadgen/bounds.h"

#include <gtest/gtest.h>

namespace automot::loadgen {
namespace {

RunResult ResultOf(int on_time, int refused) {
  RunResult result;
  result.measured = absl::Seconds(2);
  for (int i = 0; i < on_time; ++i) {
    result.tally.Count(Outcome::kOnTime);
    result.tally.from_intended.Record(absl::Microseconds(100));
  }
  for (int i = 0; i < refused; ++i) result.tally.Count(Outcome::kRefused);
  return result;
}

bool Holds(const std::string& text, const RunResult& result) {
  const auto bounds = ParseBounds(text);
  EXPECT_TRUE(bounds.ok()) << bounds.status();
  for (const BoundVerdict& verdict : CheckBounds(*bounds, result)) {
    if (!verdict.holds) return false;
  }
  return true;
}

TEST(Bounds, AreCheckedBothWays) {
  const RunResult result = ResultOf(90, 10);
  EXPECT_TRUE(Holds("p99_ms<=0.1", result));
  EXPECT_FALSE(Holds("p99_ms<=0.09", result));
  EXPECT_TRUE(Holds("on_time_fraction>=0.9,refused_fraction<=0.1", result));
  EXPECT_FALSE(Holds("on_time_fraction>=0.9,refused_fraction<=0.09", result));
  EXPECT_TRUE(Holds("goodput_hz>=45,goodput_hz<=45", result));
  EXPECT_TRUE(Holds("", result));
}

TEST(Bounds, RunWithoutTicksHasFiguresOfZero) {
  EXPECT_TRUE(Holds("late_fraction<=0,max_ms<=0", RunResult{.measured = absl::Seconds(1)}));
}

TEST(Bounds, UnknownFiguresAndSignsAreRefused) {
  for (const char* const text : {"p98_ms<=1", "p99_ms<1", "p99_ms<=x", "p99_ms", "<=1"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseBounds(text).status())) << text;
  }
}

}  // namespace
}  // namespace automot::loadgen
