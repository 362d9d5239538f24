#include "services/egodriver/geometry/egomotion_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

namespace automot::egodriver {
namespace {

using ::testing::DoubleNear;

TimedPose PoseAt(SessionTimeUs time_us, double x, double y = 0.0, double yaw = 0.0) {
  return {time_us, {{x, y, 1.5}, AboutZ(yaw)}, std::nullopt};
}

TEST(EgomotionLogTest, SortsAndDropsRepeats) {
  EgomotionLog log;
  log.Add({PoseAt(200'000, 2.0), PoseAt(0, 0.0)});
  log.Add({PoseAt(100'000, 1.0), PoseAt(200'000, 99.0), PoseAt(300'000, 3.0)});
  EXPECT_EQ(log.size(), 4U);
  EXPECT_DOUBLE_EQ(log.At(0)->pose.position.x, 0.0);
  EXPECT_DOUBLE_EQ(log.At(100'000)->pose.position.x, 1.0);
  EXPECT_DOUBLE_EQ(log.At(200'000)->pose.position.x, 2.0) << "the first report of a time stays";
  EXPECT_DOUBLE_EQ(log.At(250'000)->pose.position.x, 2.5) << "between two poses";
}

TEST(EgomotionLogTest, KeepsTheNewestPosesOnly) {
  EgomotionLog log;
  for (int call = 0; call < 20; ++call) {
    std::vector<TimedPose> poses;
    for (int i = 0; i < 1000; ++i) poses.push_back(PoseAt((call * 1000 + i) * 10, call));
    log.Add(std::move(poses));
  }
  EXPECT_EQ(log.size(), EgomotionLog::kMaxPoses);
  EXPECT_DOUBLE_EQ(log.At(199'990)->pose.position.x, 19.0);
}

TEST(EgomotionLogTest, DerivesTheMotionThatWasNotReported) {
  EgomotionLog log;
  const double yaw = 2.5;
  log.Add({PoseAt(0, 100.0, -40.0, yaw), PoseAt(100'000, 100.0 + 0.7 * std::cos(yaw + 0.02),
                                                -40.0 + 0.7 * std::sin(yaw + 0.02), yaw + 0.02)});
  const Motion motion = *log.At(100'000)->motion;
  EXPECT_THAT(motion.speed_mps, DoubleNear(7.0, 1e-9));
  EXPECT_THAT(motion.yaw_rate_radps, DoubleNear(0.2, 1e-9));
}

TEST(EgomotionLogTest, TakesReportedMotionAsItIs) {
  EgomotionLog log;
  TimedPose pose = PoseAt(100'000, 5.0);
  pose.motion = Motion{3.0, -0.1};
  log.Add({PoseAt(0, 0.0), pose});
  EXPECT_DOUBLE_EQ(log.At(100'000)->motion->speed_mps, 3.0);
  EXPECT_DOUBLE_EQ(log.At(100'000)->motion->yaw_rate_radps, -0.1);
}

TEST(EgomotionLogTest, CarriesTheLastPoseOnForASecondAtMost) {
  EgomotionLog log;
  TimedPose pose = PoseAt(0, 10.0, 20.0, std::numbers::pi / 2);
  pose.motion = Motion{4.0, 0.0};
  log.Add({pose});
  EXPECT_NEAR(log.At(250'000)->pose.position.y, 21.0, 1e-9);
  EXPECT_NEAR(log.At(9'000'000)->pose.position.y, 24.0, 1e-9);
  EXPECT_NEAR(log.At(9'000'000)->pose.position.x, 10.0, 1e-9);
}

TEST(EgomotionLogTest, AnswersNothingWithoutPoses) {
  EgomotionLog log;
  log.Add({});
  EXPECT_FALSE(log.At(0).has_value());
}

TEST(RigGeometryTest, EgoPoseIsMirroredAndMovedToTheModelsOrigin) {
  const double yaw = 0.6;  // to the left
  const Pose2 ego = EgoPose({{100.0, -50.0, 2.0}, AboutZ(yaw)}, 1.4);
  EXPECT_NEAR(ego.position.x, 100.0 + 1.4 * std::cos(yaw), 1e-12);
  EXPECT_NEAR(ego.position.y, 50.0 - 1.4 * std::sin(yaw), 1e-12);
  EXPECT_NEAR(ego.yaw_rad, -yaw, 1e-12);
  // A point 10 m ahead of the rear axle and 2 m to the left, both ways round.
  const Vec3 turned = Rotate(AboutZ(yaw), {10.0, 2.0, 0.0});
  const Vec2 in_engine = LocalToEngine({100.0 + turned.x, -50.0 + turned.y, 0.0});
  const Vec2 in_ego = LocalToEgo(ego, in_engine);
  EXPECT_NEAR(in_ego.x, RigToEgo({10.0, 2.0, 0.0}, 1.4).x, 1e-12);
  EXPECT_NEAR(in_ego.y, -2.0, 1e-12);
}

TEST(RigGeometryTest, NormaliseRefusesWhatIsNoRotation) {
  Quat zero{0.0, 0.0, 0.0, 0.0}, nan{1.0, std::numeric_limits<double>::quiet_NaN(), 0.0, 0.0};
  EXPECT_TRUE(absl::IsInvalidArgument(Normalise("quat", &zero)));
  EXPECT_TRUE(absl::IsInvalidArgument(Normalise("quat", &nan)));
  Quat scaled{0.0, 0.0, 0.0, 7.0};
  ASSERT_TRUE(Normalise("quat", &scaled).ok());
  EXPECT_DOUBLE_EQ(scaled.z, 1.0);
}

}  // namespace
}  // namespace automot::egodriver
