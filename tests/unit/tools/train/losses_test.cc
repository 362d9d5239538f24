#include "tools/train/losses.h"

#include <cmath>

#include "gtest/gtest.h"

namespace automot::train {
namespace {

TEST(Losses, TokensWithoutALabelDoNotCount) {
  const at::Tensor logits = at::tensor({0.0F, 0.0F, 1.0F, 3.0F, 9.0F, -9.0F}).view({1, 3, 2});
  const at::Tensor labels =
      at::tensor({int64_t{0}, int64_t{1}, kIgnoredLabel}, at::kLong).view({1, 3});
  const double expected = (std::log(2.0) + std::log(1 + std::exp(-2.0))) / 2;
  EXPECT_NEAR(TokenLoss(logits, labels).item<double>(), expected, 1e-6);
  EXPECT_EQ(TokenLoss(logits, at::full({1, 3}, kIgnoredLabel, at::kLong)).item<double>(), 0.0);
}

TEST(Losses, WaypointsCountAsOffsetsAndEarlyOnesMore) {
  // Positions 1, 2, ... 6 on x: offsets of 1.
  at::Tensor waypoints = at::zeros({1, 6, 2});
  for (int i = 0; i < 6; ++i) waypoints[0][i][0] = i + 1.0;
  at::Tensor offsets = at::zeros({1, 6, 2});
  offsets.select(2, 0).fill_(1);
  EXPECT_NEAR(WaypointLoss(offsets, waypoints).item<double>(), 0.0, 1e-7);
  offsets[0][0][0] += 2.0;  // 3/12 of |2|, halved over x and y
  EXPECT_NEAR(WaypointLoss(offsets, waypoints).item<double>(), 0.25, 1e-6);
  offsets[0][5][1] -= 4.0;  // 1/12 of |4|, halved
  EXPECT_NEAR(WaypointLoss(offsets, waypoints).item<double>(), 0.25 + 2.0 / 12, 1e-6);
}

TEST(Losses, RouteAndSpeeds) {
  EXPECT_NEAR(RouteLoss(at::ones({2, 20, 2}), at::zeros({2, 20, 2})).item<double>(), 1.0, 1e-7);
  // 0.5 * 0.5^2, 3 - 0.5, 0
  const at::Tensor speeds = at::tensor({0.5F, 3.0F, 1.0F}).view({1, 3});
  const at::Tensor target = at::tensor({0.0F, 0.0F, 1.0F}).view({1, 3});
  EXPECT_NEAR(SpeedLoss(speeds, target).item<double>(), (0.125 + 2.5) / 3, 1e-6);
}

TEST(Losses, ErrorsAreMeanDistancesOfTheFirstPoints) {
  at::Tensor waypoints = at::zeros({1, 6, 2});
  waypoints[0][0][0] = 3.0;
  waypoints[0][0][1] = 4.0;
  const auto errors = WaypointErrors(waypoints, at::zeros({1, 6, 2}));
  EXPECT_NEAR(errors[0], 2.5, 1e-6);
  EXPECT_NEAR(errors[1], 1.25, 1e-6);
  EXPECT_NEAR(errors[2], 5.0 / 6, 1e-6);
}

}  // namespace
}  // namespace automot::train
