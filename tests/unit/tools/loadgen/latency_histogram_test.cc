#include "tools/loadgen/latency_histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace automot::loadgen {
namespace {

TEST(LatencyHistogram, EmptyIsZero) {
  const LatencyHistogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.Percentile(0.99), absl::ZeroDuration());
  EXPECT_EQ(histogram.max(), absl::ZeroDuration());
  EXPECT_EQ(histogram.mean(), absl::ZeroDuration());
}

TEST(LatencyHistogram, SmallValuesAreExact) {
  LatencyHistogram histogram;
  for (int us = 1; us <= 200; ++us) histogram.Record(absl::Microseconds(us));
  EXPECT_EQ(histogram.Percentile(0.5), absl::Microseconds(100));
  EXPECT_EQ(histogram.Percentile(0.99), absl::Microseconds(198));
  EXPECT_EQ(histogram.Percentile(0.0), absl::Microseconds(1));
  EXPECT_EQ(histogram.Percentile(1.0), absl::Microseconds(200));
}

// Values around every step of every power of two.
TEST(LatencyHistogram, ErrorIsBelowOneIn128AndNeverDownwards) {
  for (int octave = 8; octave < 36; ++octave) {
    for (int step = 0; step < 128; ++step) {
      const int64_t base = (int64_t{128} + step) << (octave - 7);
      for (const int64_t us : {base - 1, base, base + 1}) {
        LatencyHistogram histogram;
        histogram.Record(absl::Microseconds(us));
        histogram.Record(absl::InfiniteDuration());  // so that max() does not hide the step's end
        const double shown = absl::ToDoubleMicroseconds(histogram.Percentile(0.5));
        EXPECT_GE(shown, static_cast<double>(us));
        EXPECT_LE(shown, static_cast<double>(us) * (1.0 + 1.0 / LatencyHistogram::kSubBuckets));
      }
    }
  }
}

TEST(LatencyHistogram, PercentilesOfManyValuesAgreeWithSorting) {
  std::mt19937_64 random(7);
  std::vector<int64_t> values;
  LatencyHistogram histogram;
  for (int i = 0; i < 20000; ++i) {
    values.push_back(static_cast<int64_t>(std::exp(static_cast<double>(random() % 1600) / 100.0)));
    histogram.Record(absl::Microseconds(values.back()));
  }
  std::sort(values.begin(), values.end());
  for (const double fraction : {0.01, 0.5, 0.9, 0.99, 0.999, 0.9999}) {
    const auto rank = static_cast<std::size_t>(std::ceil(fraction * 20000.0)) - 1;
    const auto exact = static_cast<double>(values[rank]);
    const double shown = absl::ToDoubleMicroseconds(histogram.Percentile(fraction));
    EXPECT_GE(shown, exact);
    EXPECT_LE(shown, exact * (1.0 + 1.0 / 128) + 1.0);
  }
  EXPECT_EQ(histogram.max(), absl::Microseconds(values.back()));
}

TEST(LatencyHistogram, MergedIsAsIfRecordedTogether) {
  LatencyHistogram one, two, both;
  for (int us = 1; us < 5000; us += 7) {
    (us % 2 == 0 ? one : two).Record(absl::Microseconds(us));
    both.Record(absl::Microseconds(us));
  }
  one.Merge(two);
  EXPECT_EQ(one.count(), both.count());
  EXPECT_EQ(one.mean(), both.mean());
  EXPECT_EQ(one.max(), both.max());
  EXPECT_EQ(one.Percentile(0.9), both.Percentile(0.9));
}

TEST(LatencyHistogram, ValuesOutsideAreHeldAtTheEnds) {
  LatencyHistogram histogram;
  histogram.Record(absl::Microseconds(-5));
  EXPECT_EQ(histogram.max(), absl::ZeroDuration());
  histogram.Record(absl::InfiniteDuration());
  EXPECT_EQ(histogram.count(), 2U);
  EXPECT_GT(histogram.max(), absl::Hours(19));
}

}  // namespace
}  // namespace automot::loadgen
