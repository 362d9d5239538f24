// Control conversion against the reference, case f_control.
#include <cmath>

#include "common/control/route_curve.h"
#include "common/control/trajectory_follower.h"
#include "tests/golden/control/control_case.h"

namespace automot::control {
namespace {

class GoldenFollower : public ::testing::Test {
 protected:
  const ControlCase case_{"f_control"};
  const std::vector<Trajectory> trajectories_ = case_.Trajectories();
  const std::vector<double> speed_ = case_.Input<double>("speed");
};

TEST_F(GoldenFollower, TwentyStepsInSequenceGiveTheReferencesCommands) {
  const auto steer = case_.Expected<double>("steer");
  const auto throttle = case_.Expected<double>("throttle");
  const auto brake = case_.Expected<double>("brake");
  ASSERT_EQ(trajectories_.size(), 20U);
  TrajectoryFollower follower;
  for (std::size_t i = 0; i < trajectories_.size(); ++i) {
    const ControlCommand command = follower.StepUnlimited(trajectories_[i], speed_[i]);
    EXPECT_NEAR(command.steer, steer[i], kSteerTolerance) << "step " << i;
    EXPECT_NEAR(command.throttle, throttle[i], kThrottleTolerance) << "step " << i;
    EXPECT_EQ(command.brake, brake[i]) << "step " << i;
  }
}

TEST_F(GoldenFollower, EachRouteHasTheReferencesSampleCountAndLookahead) {
  const auto samples = case_.Expected<double>("n_interp");
  const auto lookahead = case_.Expected<double>("n_lookahead");
  for (std::size_t i = 0; i < trajectories_.size(); ++i) {
    const RouteCurve curve(trajectories_[i].route);
    EXPECT_EQ(curve.sample_count(), samples[i]) << "step " << i;
    EXPECT_EQ(LookaheadIndex(speed_[i], curve.sample_count()), lookahead[i]) << "step " << i;
  }
}

TEST_F(GoldenFollower, TheHeadingOfTheLookaheadPointIsTheReferences) {
  const auto error = case_.Expected<double>("heading_error");
  for (std::size_t i = 0; i < trajectories_.size(); ++i) {
    const RouteCurve curve(trajectories_[i].route);
    const Vec2 point = curve.Sample(LookaheadIndex(speed_[i], curve.sample_count()));
    double heading = std::atan2(point.y, point.x);
    if (heading >= M_PI) heading -= 2 * M_PI;
    EXPECT_NEAR(heading * 180 / M_PI / 90, error[i], 1e-9) << "step " << i;
  }
}

TEST_F(GoldenFollower, CurvesPassThroughEverySampleOfSciPys) {
  for (const int step : {0, 5, 7, 12, 13, 14}) {
    const auto samples = case_.Expected<double>("interp_" + std::to_string(step));
    const RouteCurve curve(trajectories_[step].route);
    ASSERT_EQ(curve.sample_count() * 2, static_cast<int64_t>(samples.size()));
    for (int64_t i = 0; i < curve.sample_count(); ++i) {
      const Vec2 point = curve.Sample(i);
      ASSERT_NEAR(point.x, samples[2 * i], kPointTolerance) << "step " << step << " sample " << i;
      ASSERT_NEAR(point.y, samples[2 * i + 1], kPointTolerance)
          << "step " << step << " sample " << i;
    }
  }
}

}  // namespace
}  // namespace automot::control
