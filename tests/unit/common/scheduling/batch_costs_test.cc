#include "common/scheduling/batch_costs.h"

#include <gtest/gtest.h>

#include <vector>

namespace automot {
namespace {

constexpr absl::Duration kFar = absl::InfiniteDuration();

struct Measured : BatchCosts {
  explicit Measured(const std::vector<int>& costs_ms)
      : BatchCosts(static_cast<int>(costs_ms.size())) {
    for (std::size_t i = 0; i < costs_ms.size(); ++i) {
      Observe(static_cast<int>(i + 1), absl::Milliseconds(costs_ms[i]));
    }
  }
};

TEST(BatchCosts, FormsBatchesOnlyWhereTheySaveTime) {
  const Measured gpu({100, 120, 140, 160});
  EXPECT_EQ(gpu.Choose(1, kFar), 1);
  EXPECT_EQ(gpu.Choose(3, kFar), 3);
  EXPECT_EQ(gpu.Choose(9, kFar), 4);
  const Measured cpu({100, 198, 297, 396});
  EXPECT_EQ(cpu.Choose(4, kFar), 1) << "1 % is not worth that all wait for all";
}

TEST(BatchCosts, ABatchIsFormedFromSlackAlone) {
  const Measured batching({100, 120, 140, 160});
  EXPECT_EQ(batching.Choose(4, absl::Milliseconds(139)), 2);
  EXPECT_EQ(batching.Choose(4, absl::Milliseconds(140)), 3);
  EXPECT_EQ(batching.Choose(4, absl::Milliseconds(100)), 1);
}

TEST(BatchCosts, WithTheDeadlineLostThroughputIsWhatIsLeftToWin) {
  const Measured batching({100, 120, 140, 160});
  EXPECT_EQ(batching.Choose(4, absl::Milliseconds(99)), 4);
  EXPECT_EQ(batching.Choose(4, -absl::Seconds(1)), 4);
}

TEST(BatchCosts, SizesThatWereNeverSeenAreNotTried) {
  BatchCosts batching(4);
  EXPECT_EQ(batching.Choose(4, kFar), 1);
  batching.Observe(1, absl::Milliseconds(100));
  batching.Observe(4, absl::Milliseconds(200));
  EXPECT_EQ(batching.Choose(3, kFar), 1);
  EXPECT_EQ(batching.Choose(4, kFar), 4);
  EXPECT_EQ(batching.BestCost(), absl::Milliseconds(50));
}

TEST(BatchCosts, TimeForManyIsThatOfTheBestRuns) {
  const Measured batching({100, 120, 140});
  EXPECT_EQ(batching.TimeFor(1), absl::Milliseconds(100));
  EXPECT_EQ(batching.TimeFor(3), absl::Milliseconds(140));
  EXPECT_EQ(batching.TimeFor(4), absl::Milliseconds(240));
  EXPECT_EQ(BatchCosts(4).TimeFor(7), absl::ZeroDuration()) << "nothing is known";
}

TEST(BatchCosts, OneRunThatWasHeldUpDoesNotCountAndTwoDo) {
  BatchCosts batching(1);
  batching.Observe(1, absl::Milliseconds(100));
  batching.Observe(1, absl::Milliseconds(300));
  EXPECT_EQ(batching.Cost(1), absl::Milliseconds(300)) << "few runs are known";
  for (int i = 0; i < 10; ++i) batching.Observe(1, absl::Milliseconds(100));
  EXPECT_EQ(batching.Cost(1), absl::Milliseconds(100));
  batching.Observe(1, absl::Milliseconds(250));
  EXPECT_EQ(batching.Cost(1), absl::Milliseconds(250));
  for (int i = 0; i < 32; ++i) batching.Observe(1, absl::Milliseconds(90));
  EXPECT_EQ(batching.Cost(1), absl::Milliseconds(90)) << "all else is forgotten";
}

}  // namespace
}  // namespace automot
