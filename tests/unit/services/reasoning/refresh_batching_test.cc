#include "services/reasoning/refresh_batching.h"

#include <gtest/gtest.h>

namespace automot::reasoning {
namespace {

constexpr absl::Duration kFar = absl::InfiniteDuration();

RefreshBatching Measured(const std::vector<int>& costs_ms) {
  RefreshBatching batching(static_cast<int>(costs_ms.size()));
  for (std::size_t i = 0; i < costs_ms.size(); ++i) {
    batching.Observe(static_cast<int>(i + 1), absl::Milliseconds(costs_ms[i]));
  }
  return batching;
}

TEST(RefreshBatching, FormsBatchesOnlyWhereTheySaveTime) {
  const RefreshBatching gpu = Measured({100, 120, 140, 160});
  EXPECT_EQ(gpu.Choose(1, kFar), 1);
  EXPECT_EQ(gpu.Choose(3, kFar), 3);
  EXPECT_EQ(gpu.Choose(9, kFar), 4);
  const RefreshBatching cpu = Measured({100, 198, 297, 396});
  EXPECT_EQ(cpu.Choose(4, kFar), 1) << "1 % is not worth that all wait for all";
}

TEST(RefreshBatching, ABatchIsFormedFromSlackAlone) {
  const RefreshBatching batching = Measured({100, 120, 140, 160});
  EXPECT_EQ(batching.Choose(4, absl::Milliseconds(139)), 2);
  EXPECT_EQ(batching.Choose(4, absl::Milliseconds(140)), 3);
  EXPECT_EQ(batching.Choose(4, absl::Milliseconds(100)), 1);
}

TEST(RefreshBatching, WithTheDeadlineLostThroughputIsWhatIsLeftToWin) {
  const RefreshBatching batching = Measured({100, 120, 140, 160});
  EXPECT_EQ(batching.Choose(4, absl::Milliseconds(99)), 4);
  EXPECT_EQ(batching.Choose(4, -absl::Seconds(1)), 4);
}

TEST(RefreshBatching, SizesThatWereNeverSeenAreNotTried) {
  RefreshBatching batching(4);
  EXPECT_EQ(batching.Choose(4, kFar), 1);
  batching.Observe(1, absl::Milliseconds(100));
  batching.Observe(4, absl::Milliseconds(200));
  EXPECT_EQ(batching.Choose(3, kFar), 1);
  EXPECT_EQ(batching.Choose(4, kFar), 4);
  EXPECT_EQ(batching.BestCost(), absl::Milliseconds(50));
}

TEST(RefreshBatching, CostsRiseAtOnceAndFallSlowly) {
  RefreshBatching batching(1);
  batching.Observe(1, absl::Milliseconds(100));
  batching.Observe(1, absl::Milliseconds(300));
  EXPECT_EQ(batching.Cost(1), absl::Milliseconds(300));
  batching.Observe(1, absl::Milliseconds(100));
  EXPECT_EQ(batching.Cost(1), absl::Milliseconds(290));
}

}  // namespace
}  // namespace automot::reasoning
