#include "common/control/pid.h"

#include <gtest/gtest.h>

namespace automot::control {
namespace {

TEST(Pid, AveragesOnlyTheErrorsThereAreWhenItsWindowStartsEmpty) {
  Pid<4> pid({0.0, 1.0, 0.0}, PidWindow::kEmpty);
  EXPECT_DOUBLE_EQ(pid.Step(2.0), 2.0);
  EXPECT_DOUBLE_EQ(pid.Step(4.0), 3.0);
}

TEST(Pid, AveragesZerosTooWhenItsWindowStartsWithThem) {
  Pid<4> pid({0.0, 1.0, 0.0}, PidWindow::kZeros);
  EXPECT_DOUBLE_EQ(pid.Step(2.0), 0.5);
}

TEST(Pid, ForgetsErrorsOlderThanItsWindow) {
  Pid<2> pid({0.0, 1.0, 0.0}, PidWindow::kEmpty);
  pid.Step(100.0);
  pid.Step(2.0);
  EXPECT_DOUBLE_EQ(pid.Step(4.0), 3.0);
}

TEST(Pid, DifferentiatesAgainstThePreviousErrorIfThereIsOne) {
  Pid<3> empty({0.0, 0.0, 2.0}, PidWindow::kEmpty), zeros({0.0, 0.0, 2.0}, PidWindow::kZeros);
  EXPECT_DOUBLE_EQ(empty.Step(1.5), 0.0);
  EXPECT_DOUBLE_EQ(empty.Step(2.0), 1.0);
  EXPECT_DOUBLE_EQ(zeros.Step(1.5), 3.0);
}

TEST(Pid, IsAsNewAfterReset) {
  Pid<3> pid({1.0, 1.0, 1.0}, PidWindow::kEmpty);
  const double first = pid.Step(0.7);
  pid.Step(-3.0);
  pid.Reset();
  EXPECT_DOUBLE_EQ(pid.Step(0.7), first);
}

}  // namespace
}  // namespace automot::control
