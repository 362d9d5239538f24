#include "common/control/pchip.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace automot::control {
namespace {

TEST(Pchip, PassesThroughItsKnots) {
  const std::vector<double> x = {0, 1, 2.5, 3, 7}, y = {1, 4, 4, -2, 0};
  Pchip<5> curve;
  curve.Fit(x, y);
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(curve(x[i]), y[i], 1e-12) << x[i];
}

TEST(Pchip, IsALineThroughTwoKnotsAndThroughKnotsOnALine) {
  Pchip<4> two, line;
  two.Fit({1.0, 3.0}, {2.0, 6.0});
  EXPECT_NEAR(two(2.0), 4.0, 1e-12);
  line.Fit({0.0, 1.0, 5.0, 6.0}, {1.0, 3.0, 11.0, 13.0});
  EXPECT_NEAR(line(2.75), 6.5, 1e-12);
}

// The reason for this interpolation: a path does not swing out where its points do not.
TEST(Pchip, NeverLeavesTheRangeOfNeighbouringKnots) {
  std::mt19937 random(11);
  std::uniform_real_distribution<double> step(0.01, 3.0), value(-5.0, 5.0);
  for (int round = 0; round < 500; ++round) {
    std::vector<double> x = {0.0}, y = {value(random)};
    for (int i = 1; i < 12; ++i) {
      x.push_back(x.back() + step(random));
      y.push_back(i % 4 == 0 ? y.back() : value(random));
    }
    Pchip<12> curve;
    curve.Fit(x, y);
    for (int i = 0; i + 1 < 12; ++i) {
      for (double t = 0.0; t <= 1.0; t += 0.05) {
        const double v = curve(x[i] + t * (x[i + 1] - x[i]));
        ASSERT_GE(v, std::min(y[i], y[i + 1]) - 1e-9);
        ASSERT_LE(v, std::max(y[i], y[i + 1]) + 1e-9);
      }
    }
  }
}

}  // namespace
}  // namespace automot::control
