#include "common/conversion/slow_observation.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace automot::conversion {
namespace {

context::SlowObservation WithHistogram() {
  context::SlowObservation observation;
  observation.sequence = 4;
  observation.ego = {.capture_time_us = 100, .pose = Pose2{{1, 2}, 3}, .speed_mps = 2.0};
  observation.target = {.current = {1, 2}, .next = {3, 4}, .route_revision = 5};
  auto lidar = std::make_shared<LidarHistogram>();
  lidar->capture_time_us = 90;
  lidar->counts.assign(65536, 2);
  observation.lidar = lidar;
  observation.urgent = true;
  return observation;
}

std::shared_ptr<const CameraFrame> Frame(SessionTimeUs time) {
  auto frame = std::make_shared<CameraFrame>();
  frame->capture_time_us = time;
  frame->image =
      std::make_shared<const RgbImage>(RgbImage{.width = 1, .height = 1, .pixels = {1, 2, 3}});
  return frame;
}

TEST(SlowObservationConversion, RoundTripCarriesTheFramesThatThePeerLacks) {
  const context::SlowObservation sent = WithHistogram();
  v1::SlowObservation proto;
  SlowObservationToProto(sent, {Frame(50), Frame(100)}, &proto);
  const auto got = SlowObservationFromProto(proto);
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ((*got)->frames.size(), 2U);
  EXPECT_EQ((*got)->frames[0]->capture_time_us, 50);
  EXPECT_EQ((*got)->frames[1]->image->pixels, (std::vector<uint8_t>{1, 2, 3}));
  EXPECT_EQ((*got)->sequence, 4U);
  EXPECT_EQ((*got)->ego.pose, sent.ego.pose);
  EXPECT_EQ((*got)->ego.capture_time_us, 100);
  EXPECT_EQ((*got)->target.next, sent.target.next);
  EXPECT_EQ((*got)->target.route_revision, 5U);
  EXPECT_TRUE((*got)->urgent);
  EXPECT_FALSE((*got)->history_only);
  ASSERT_TRUE((*got)->lidar);
  EXPECT_EQ((*got)->lidar->counts, sent.lidar->counts);
  EXPECT_EQ((*got)->lidar->capture_time_us, 90);
  EXPECT_TRUE((*got)->reasons.empty());
}

TEST(SlowObservationConversion, MissingAndHalfLidarAreReasons) {
  context::SlowObservation sent = WithHistogram();
  sent.reasons.Add(Reason::kHalfSweep);
  v1::SlowObservation half;
  SlowObservationToProto(sent, {}, &half);
  EXPECT_TRUE((*SlowObservationFromProto(half))->reasons.Has(Reason::kHalfSweep));
  sent.lidar.reset();
  v1::SlowObservation none;
  SlowObservationToProto(sent, {}, &none);
  EXPECT_TRUE((*SlowObservationFromProto(none))->reasons.Has(Reason::kNoLidar));
}

TEST(SlowObservationConversion, PointsBecomeAHistogram) {
  v1::SlowObservation proto;
  SlowObservationToProto(WithHistogram(), {}, &proto);
  const float point[3] = {0.1F, 0.1F, 1.0F};
  proto.mutable_observation()->mutable_lidar()->mutable_points()->set_xyz(point, sizeof(point));
  const auto got = SlowObservationFromProto(proto);
  ASSERT_TRUE(got.ok()) << got.status();
  const std::vector<uint8_t>& counts = (*got)->lidar->counts;
  EXPECT_EQ(counts[128 * 256 + 128], 1);
  EXPECT_EQ(std::count(counts.begin(), counts.end(), 0), 65535);
}

}  // namespace
}  // namespace automot::conversion
