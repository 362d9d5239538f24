#include "common/metrics/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/metrics/process_metrics.h"

namespace automot::metrics {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr MetricName kEaten{"eaten_total", "Apples eaten."};
constexpr MetricName kSeconds{"bite_seconds", "Time of a bite."};
constexpr BucketBounds kBounds = {0.1, 1};

int CountOf(const std::string& text, const std::string& part) {
  int count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(RegistryTest, ShowsEverySeriesOfACounterFromTheStart) {
  Registry registry;
  CounterFamily* const eaten =
      registry.AddCounters(kEaten, {{"colour", {"red", "green"}}, {"size", {"s", "m", "l"}}});
  eaten->At({1, 2}).Add(3);
  const std::string text = registry.Text();
  EXPECT_THAT(text, HasSubstr("# HELP eaten_total Apples eaten.\n# TYPE eaten_total counter\n"));
  EXPECT_THAT(text, HasSubstr("eaten_total{colour=\"green\",size=\"l\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("eaten_total{colour=\"red\",size=\"s\"} 0\n"));
  EXPECT_EQ(CountOf(text, "eaten_total{"), 6);
}

TEST(RegistryTest, HidesUnusedSeriesWhereAsked) {
  Registry registry;
  HistogramFamily* const seconds =
      registry.AddHistograms(kSeconds, &kBounds, {{"colour", {"red", "green"}}}, Unused::kHidden);
  EXPECT_THAT(registry.Text(), Not(HasSubstr("bite_seconds_count")));
  seconds->At({0}).Observe(0.1);
  EXPECT_THAT(registry.Text(), HasSubstr("bite_seconds_count{colour=\"red\"} 1\n"));
  EXPECT_THAT(registry.Text(), Not(HasSubstr("green")));
}

TEST(RegistryTest, HistogramBucketsAreInclusiveCumulativeAndEndAtInfinity) {
  Registry registry;
  HistogramFamily* const seconds = registry.AddHistograms(kSeconds, &kBounds);
  for (const double value : {0.1, 0.5, 7.0}) seconds->At().Observe(value);
  const std::string text = registry.Text();
  EXPECT_THAT(text, HasSubstr("bite_seconds_bucket{le=\"0.1\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("bite_seconds_bucket{le=\"1\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("bite_seconds_bucket{le=\"+Inf\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("bite_seconds_count 3\nbite_seconds_sum 7.6"));
}

TEST(RegistryTest, JoinsFamiliesThatTwoServicesShare) {
  Registry registry;
  registry.AddCounters(kEaten, {{"loop", {"planning"}}})->At({0}).Add();
  registry.AddCounters(kEaten, {{"loop", {"reasoning"}}})->At({0}).Add(2);
  const std::string text = registry.Text();
  EXPECT_EQ(CountOf(text, "# TYPE eaten_total"), 1);
  EXPECT_THAT(text, HasSubstr("eaten_total{loop=\"planning\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("eaten_total{loop=\"reasoning\"} 2\n"));
}

TEST(RegistryTest, AsksPolledFamiliesAtEachScrapeUntilTheSourceIsTakenAway) {
  Registry registry;
  double value = 1.0;
  PolledFamily* const family = registry.AddPolled(kSeconds, PolledFamily::Type::kGauge, [&] {
    return std::vector<PolledFamily::Sample>{{{}, value}};
  });
  EXPECT_THAT(registry.Text(), HasSubstr("bite_seconds 1\n"));
  value = 2.0;
  EXPECT_THAT(registry.Text(), HasSubstr("bite_seconds 2\n"));
  family->SetSource(nullptr);
  EXPECT_THAT(registry.Text(), Not(HasSubstr("bite_seconds 2\n")));
}

TEST(RegistryTest, DescribesTheProcess) {
  Registry registry;
  AddProcessMetrics(&registry);
  int positive = 0;
  for (const prometheus::MetricFamily& family : registry.Collect()) {
    ASSERT_EQ(family.metric.size(), 1U) << family.name;
    positive += family.metric[0].gauge.value + family.metric[0].counter.value > 0.0 ? 1 : 0;
  }
  EXPECT_EQ(positive, 8) << registry.Text();
}

}  // namespace
}  // namespace automot::metrics
