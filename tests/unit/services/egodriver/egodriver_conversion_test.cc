// The contract's messages to plain structs and back, hostile ones included.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "egodriver/carla_driver.pb.h"
#include "services/egodriver/handlers/observation_conversion.h"
#include "services/egodriver/handlers/session_conversion.h"

namespace automot::egodriver {
namespace {

using ::testing::HasSubstr;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

::egodriver::RolloutEgoTrajectory Moving(int poses, int states) {
  ::egodriver::RolloutEgoTrajectory proto;
  for (int i = 0; i < poses; ++i) {
    auto* pose = proto.mutable_trajectory()->add_poses();
    pose->set_timestamp_us(static_cast<uint64_t>(i) * 100'000);
    pose->mutable_pose()->mutable_vec()->set_x(static_cast<float>(i));
    pose->mutable_pose()->mutable_quat()->set_w(2.0F);
  }
  for (int i = 0; i < states; ++i) {
    auto* state = proto.add_dynamic_states();
    state->mutable_linear_velocity()->set_x(4.0F);
    state->mutable_angular_velocity()->set_z(0.25F);
  }
  return proto;
}

// A camera that looks ahead, as revision 2 declares it.
::egodriver::DriveSessionRequest Request() {
  ::egodriver::DriveSessionRequest proto;
  proto.set_session_uuid("a");
  auto* camera = proto.mutable_rollout_spec()->mutable_vehicle()->add_available_cameras();
  camera->set_logical_id("front");
  auto* spec = camera->mutable_intrinsics();
  spec->set_resolution_w(640);
  spec->set_resolution_h(360);
  auto* lens = spec->mutable_opencv_pinhole_param();
  lens->set_principal_point_x(320);
  lens->set_principal_point_y(180);
  lens->set_focal_length_x(300);
  lens->set_focal_length_y(300);
  auto* quat = camera->mutable_rig_to_camera()->mutable_quat();
  quat->set_w(-0.5F);
  quat->set_x(0.5F);
  quat->set_y(-0.5F);
  quat->set_z(0.5F);
  return proto;
}

Vec3 LooksAlong(const StartRequest& request) {
  return Rotate(request.cameras[0].camera_in_rig, {0.0, 0.0, 1.0});
}
Vec3 DownOf(const StartRequest& request) {
  return Rotate(request.cameras[0].camera_in_rig, {0.0, 1.0, 0.0});
}

TEST(EgodriverConversionTest, PosesComeWithTheirMotionOrWithout) {
  const auto with = PosesFromProto(Moving(3, 3));
  ASSERT_TRUE(with.ok()) << with.status();
  ASSERT_EQ(with->size(), 3U);
  EXPECT_EQ((*with)[2].time_us, 200'000);
  EXPECT_DOUBLE_EQ((*with)[2].pose.rotation.w, 1.0) << "made a unit quaternion";
  EXPECT_DOUBLE_EQ((*with)[2].motion->speed_mps, 4.0);
  EXPECT_DOUBLE_EQ((*with)[2].motion->yaw_rate_radps, 0.25);
  const auto without = PosesFromProto(Moving(3, 0));
  ASSERT_TRUE(without.ok());
  EXPECT_FALSE((*without)[0].motion.has_value());
}

TEST(EgodriverConversionTest, FieldsThatAreNotKnownAreIgnored) {
  // Until 2026-03 field 4 held one DynamicState; 99 is of the future.
  std::string bytes = Moving(1, 0).SerializeAsString();
  bytes += std::string("\x22\x02\x12\x00", 4) + std::string("\x9a\x06\x03xyz", 6);
  ::egodriver::RolloutEgoTrajectory old;
  ASSERT_TRUE(old.ParseFromString(bytes));
  const auto poses = PosesFromProto(old);
  ASSERT_TRUE(poses.ok()) << poses.status();
  EXPECT_EQ(poses->size(), 1U);
}

TEST(EgodriverConversionTest, HostilePosesAreRefusedByName) {
  std::vector<::egodriver::RolloutEgoTrajectory> hostile(8, Moving(2, 2));
  const auto pose = [&](int i) {
    return hostile[i].mutable_trajectory()->mutable_poses(1)->mutable_pose();
  };
  pose(0)->mutable_vec()->set_y(kNan);
  pose(1)->mutable_vec()->set_z(-kInf);
  pose(2)->clear_quat();
  pose(3)->mutable_quat()->set_x(kNan);
  hostile[4].mutable_trajectory()->mutable_poses(0)->set_timestamp_us(
      static_cast<uint64_t>(int64_t{-5}));  // a negative time, as fixed64 has it
  hostile[5].mutable_dynamic_states(1)->mutable_linear_velocity()->set_x(kInf);
  hostile[6].add_dynamic_states();
  hostile[7] = Moving((1 << 16) + 1, 0);
  const std::vector<std::string> names = {
      "poses[1].pose.vec",    "poses[1].pose.vec",
      "poses[1].pose.quat",   "poses[1].pose.quat",
      "timestamp_us",         "dynamic_states[1].linear_velocity",
      "dynamic_states has 3", "trajectory.poses has 65537"};
  for (std::size_t i = 0; i < hostile.size(); ++i) {
    const absl::Status status = PosesFromProto(hostile[i]).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << i;
    EXPECT_THAT(std::string(status.message()), HasSubstr(names[i]));
  }
}

TEST(EgodriverConversionTest, ARouteEndsAtItsFirstNan) {
  ::egodriver::Route proto;
  proto.set_timestamp_us(0);
  for (int i = 0; i < 20; ++i) {
    auto* waypoint = proto.add_waypoints();
    waypoint->set_x(i < 7 ? 4.2F * static_cast<float>(i) : kNan);
    waypoint->set_y(i < 7 ? 1.0F : kNan);
  }
  EXPECT_EQ(RouteFromProto(proto)->waypoints.size(), 7U);
  proto.mutable_waypoints(0)->set_y(kInf);
  EXPECT_TRUE(RouteFromProto(proto)->waypoints.empty());
  proto.mutable_waypoints(0)->set_y(1e30F);
  EXPECT_TRUE(absl::IsInvalidArgument(RouteFromProto(proto).status()));
  ::egodriver::Route endless;
  for (int i = 0; i < 100'000; ++i) endless.add_waypoints()->set_x(1.0F);
  EXPECT_EQ(RouteFromProto(endless)->waypoints.size(), Rollout::kMaxWaypoints);
}

TEST(EgodriverConversionTest, BothRevisionsDeclareTheSameCamera) {
  for (const std::optional<std::string>& revision :
       {std::optional<std::string>(), std::optional<std::string>("2")}) {
    const auto request = StartRequestFromProto(Request(), revision);
    ASSERT_TRUE(request.ok()) << request.status();
    EXPECT_EQ(request->speaks_carla, revision.has_value());
    EXPECT_NEAR(LooksAlong(*request).x, 1.0, 1e-6);
    EXPECT_NEAR(DownOf(*request).z, -1.0, 1e-6);
  }
  ::egodriver::DriveSessionRequest body = Request();
  auto* quat = body.mutable_rollout_spec()
                   ->mutable_vehicle()
                   ->mutable_available_cameras(0)
                   ->mutable_rig_to_camera()
                   ->mutable_quat();
  *quat = ::common::Quat();
  quat->set_w(1.0F);
  const auto request = StartRequestFromProto(body, "1");
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_NEAR(LooksAlong(*request).x, 1.0, 1e-6);
  EXPECT_NEAR(DownOf(*request).z, -1.0, 1e-6);
}

TEST(EgodriverConversionTest, OtherRevisionsAreRefused) {
  for (const char* revision : {"0", "3", "", "two", "2 "}) {
    EXPECT_EQ(StartRequestFromProto(Request(), revision).ok(), std::string(revision) == "2 ")
        << revision;
  }
}

TEST(EgodriverConversionTest, CamerasWithoutALensOrAPoseAreRefused) {
  std::vector<::egodriver::DriveSessionRequest> broken(3, Request());
  const auto camera = [&](int i) {
    return broken[i].mutable_rollout_spec()->mutable_vehicle()->mutable_available_cameras(0);
  };
  camera(0)->mutable_intrinsics()->clear_opencv_pinhole_param();
  camera(1)->clear_rig_to_camera();
  for (int i = 0; i < 7; ++i) {
    camera(2)->mutable_intrinsics()->mutable_opencv_pinhole_param()->add_radial_coeffs(0.0);
  }
  for (const auto& request : broken) {
    EXPECT_TRUE(absl::IsInvalidArgument(StartRequestFromProto(request, std::nullopt).status()));
  }
}

std::string Sweep(const std::vector<float>& xyzi, uint32_t points, uint64_t time_us = 100'000) {
  ::carla_driver::v0::CarlaRendererData data;
  auto* sweep = data.add_lidar();
  sweep->set_num_points(points);
  sweep->set_timestamp_us(time_us);
  sweep->mutable_points_xyzi()->resize(xyzi.size() * sizeof(float));
  std::memcpy(sweep->mutable_points_xyzi()->data(), xyzi.data(), xyzi.size() * sizeof(float));
  return data.SerializeAsString();
}

TEST(EgodriverConversionTest, APackedSweepMovesToTheModelsFrame) {
  const auto lidar =
      LidarFromRendererData(Sweep({10, 2, 1, 0.5F, kNan, 0, 0, 0, 11, -3, 2, 1}, 3), 1.4, 200'000);
  ASSERT_TRUE(lidar.has_value());
  EXPECT_EQ(lidar->points->capture_time_us, 100'000);
  const std::vector<float> wanted = {8.6F, -2, 1, 9.6F, 3, 2};
  ASSERT_EQ(lidar->points->xyz.size(), wanted.size()) << "the point without a place is left out";
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_NEAR(lidar->points->xyz[i], wanted[i], 1e-5);
  }
}

TEST(EgodriverConversionTest, UnknownRendererDataIsNoLidarAndNoError) {
  EXPECT_FALSE(LidarFromRendererData("", 1.4, 0).has_value());
  EXPECT_FALSE(LidarFromRendererData("\x80\x04\x95pickled", 1.4, 0).has_value());
  EXPECT_FALSE(LidarFromRendererData(std::string(1 << 20, '\xff'), 1.4, 0).has_value());
  EXPECT_FALSE(LidarFromRendererData(Sweep({1, 2, 3, 4}, 2), 1.4, 0).has_value())
      << "says more points than it has";
  EXPECT_FALSE(LidarFromRendererData(Sweep({}, 0), 1.4, 0).has_value());
}

}  // namespace
}  // namespace automot::egodriver
