#include "common/conversion/observation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "common/image/encode.h"

namespace automot::conversion {
namespace {

using ::testing::HasSubstr;

std::shared_ptr<const RgbImage> Gradient() {
  auto image = std::make_shared<RgbImage>();
  image->width = 16;
  image->height = 8;
  for (int i = 0; i < 16 * 8 * 3; ++i) image->pixels.push_back(static_cast<uint8_t>(i));
  return image;
}

Observation Everything() {
  Observation observation;
  observation.capture_time_us = 1'000'000;
  observation.camera_frames = {{.capture_time_us = 900'000, .image = Gradient()},
                               {.capture_time_us = 950'000, .image = Gradient()}};
  auto points = std::make_shared<LidarPoints>();
  points->capture_time_us = 980'000;
  points->xyz = {1.0F, 2.0F, 3.0F, -4.5F, 0.25F, 0.5F};
  observation.lidar = LidarMeasurement{.points = points, .half_sweep = true};
  auto bev = std::make_shared<BevFeature>();
  bev->channels = 2;
  bev->values.assign(128, 0.5F);
  observation.bev_feature = bev;
  observation.ego = {.capture_time_us = 1'000'001,
                     .pose = Pose2{{1.0, 2.0}, 3.0},
                     .speed_mps = 7.5,
                     .velocity_mps = Vec2{7.4, 0.1},
                     .yaw_rate_radps = -0.2};
  observation.target = {.current = {10, 1}, .next = {20, -2}, .route_revision = 9};
  return observation;
}

TEST(ObservationConversion, RoundTripKeepsEverything) {
  const Observation sent = Everything();
  v1::Observation proto;
  ObservationToProto(sent, &proto);
  const auto got = ObservationFromProto(proto);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->capture_time_us, sent.capture_time_us);
  ASSERT_EQ(got->camera_frames.size(), 2U);
  EXPECT_EQ(got->camera_frames[1].capture_time_us, 950'000);
  EXPECT_EQ(got->camera_frames[1].image->pixels, Gradient()->pixels);
  EXPECT_FALSE(got->camera_frames[1].was_jpeg);
  ASSERT_TRUE(got->lidar && got->lidar->points);
  EXPECT_TRUE(got->lidar->half_sweep);
  EXPECT_EQ(got->lidar->points->xyz, sent.lidar->points->xyz);
  EXPECT_EQ(got->lidar->points->capture_time_us, 980'000);
  ASSERT_TRUE(got->bev_feature);
  EXPECT_EQ(got->bev_feature->values, sent.bev_feature->values);
  EXPECT_EQ(got->ego.capture_time_us, 1'000'001);
  EXPECT_EQ(got->ego.pose, sent.ego.pose);
  EXPECT_EQ(got->ego.speed_mps, 7.5);
  EXPECT_EQ(got->ego.velocity_mps, sent.ego.velocity_mps);
  EXPECT_EQ(got->ego.yaw_rate_radps, -0.2);
  EXPECT_EQ(got->target.next, sent.target.next);
  EXPECT_EQ(got->target.route_revision, 9U);
}

TEST(ObservationConversion, OptionalPartsStayAbsent) {
  Observation sent = Everything();
  sent.lidar.reset();
  sent.bev_feature.reset();
  sent.camera_frames.clear();
  sent.ego = {.capture_time_us = 1'000'000, .speed_mps = 0.0};
  v1::Observation proto;
  ObservationToProto(sent, &proto);
  const auto got = ObservationFromProto(proto);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_FALSE(got->lidar);
  EXPECT_EQ(got->bev_feature, nullptr);
  EXPECT_FALSE(got->ego.pose);
  EXPECT_FALSE(got->ego.velocity_mps);
  EXPECT_FALSE(got->ego.yaw_rate_radps);
}

TEST(ObservationConversion, TimesDefaultToTheObservationsOwn) {
  Observation sent = Everything();
  v1::Observation proto;
  ObservationToProto(sent, &proto);
  proto.mutable_ego_state()->clear_capture_time_us();
  proto.mutable_lidar()->clear_capture_time_us();
  const auto got = ObservationFromProto(proto);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->ego.capture_time_us, 1'000'000);
  EXPECT_EQ(got->lidar->points->capture_time_us, 1'000'000);
}

TEST(ObservationConversion, LidarThatSawNothingDiffersFromNoLidar) {
  Observation sent = Everything();
  v1::Observation proto;
  ObservationToProto(sent, &proto);
  proto.mutable_lidar()->clear_measurement();
  const auto got = ObservationFromProto(proto);
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_TRUE(got->lidar && got->lidar->points);
  EXPECT_TRUE(got->lidar->points->xyz.empty());
}

TEST(ObservationConversion, HistogramCountsAreClipped) {
  Observation sent = Everything();
  v1::Observation proto;
  ObservationToProto(sent, &proto);
  std::string* counts = proto.mutable_lidar()->mutable_histogram()->mutable_counts();
  counts->assign(65536, '\x03');
  (*counts)[7] = '\xFF';
  const auto got = ObservationFromProto(proto);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->lidar->histogram->counts[6], 3);
  EXPECT_EQ(got->lidar->histogram->counts[7], 5);
}

TEST(ObservationConversion, JpegIsDecodedAndRemembered) {
  v1::CameraImage proto;
  proto.set_capture_time_us(0);
  proto.set_data(*image::EncodeJpeg(*Gradient()));
  auto frame = CameraFrameFromProto(proto, {});
  ASSERT_TRUE(frame.ok()) << frame.status();
  EXPECT_TRUE(frame->was_jpeg);
  EXPECT_EQ(frame->image->width, 16);
  proto.set_height(9);
  EXPECT_THAT(std::string(CameraFrameFromProto(proto, {}).status().message()),
              HasSubstr("camera_images is 16 x 8 pixels; width and height say 0 x 9"));
}

TEST(ObservationConversion, ValuesThatAreNotFiniteAreRefused) {
  const double nan = std::nan("");
  using Edit = std::function<void(v1::Observation*)>;
  const std::vector<std::pair<Edit, std::string>> cases = {
      {[&](auto* o) { o->mutable_ego_state()->set_speed_mps(nan); }, "ego_state.speed_mps"},
      {[&](auto* o) { o->mutable_ego_state()->mutable_pose()->set_yaw_rad(nan); },
       "ego_state.pose.yaw_rad"},
      {[&](auto* o) { o->mutable_ego_state()->mutable_pose()->mutable_position()->set_x(nan); },
       "ego_state.pose.position"},
      {[&](auto* o) { o->mutable_ego_state()->set_yaw_rate_radps(nan); },
       "ego_state.yaw_rate_radps"},
      {[&](auto* o) { o->mutable_ego_state()->mutable_velocity_mps()->set_y(nan); },
       "ego_state.velocity_mps"},
      {[&](auto* o) { o->mutable_route_target()->mutable_current_target_point()->set_x(nan); },
       "current_target_point"},
      {[&](auto* o) {
         o->mutable_lidar()->mutable_points()->set_xyz("\0\0\xC0\x7F\0\0\0\0\0\0\0\0", 12);
       },
       "lidar.points.xyz"},
  };
  for (const auto& [edit, field] : cases) {
    v1::Observation proto;
    ObservationToProto(Everything(), &proto);
    edit(&proto);
    const absl::Status status = ObservationFromProto(proto).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << field;
    EXPECT_THAT(std::string(status.message()), HasSubstr(field));
  }
}

TEST(ObservationConversion, ANumberThatIsNotFiniteIsFoundWhereverItStands) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float bad : {kInfinity, -kInfinity, std::nanf(""), -std::nanf("")}) {
    for (std::size_t at = 0; at < 128; ++at) {
      v1::Observation proto;
      ObservationToProto(Everything(), &proto);
      std::memcpy(proto.mutable_bev_feature()->mutable_values()->data() + at * sizeof bad, &bad,
                  sizeof bad);
      EXPECT_TRUE(absl::IsInvalidArgument(ObservationFromProto(proto).status())) << bad << at;
    }
  }
}

TEST(ObservationConversion, TheLargestAndTheSmallestNumbersAreFinite) {
  using Limits = std::numeric_limits<float>;
  Observation sent = Everything();
  auto bev = std::make_shared<BevFeature>(*sent.bev_feature);
  for (std::size_t i = 0; i < 128; i += 4) {
    bev->values[i] = Limits::max();
    bev->values[i + 1] = Limits::lowest();
    bev->values[i + 2] = Limits::denorm_min();
    bev->values[i + 3] = -0.0F;
  }
  sent.bev_feature = bev;
  v1::Observation proto;
  ObservationToProto(sent, &proto);
  const auto got = ObservationFromProto(proto);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->bev_feature->values, bev->values);
}

}  // namespace
}  // namespace automot::conversion
