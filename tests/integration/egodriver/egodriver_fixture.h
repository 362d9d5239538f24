// Both services with fake experts in this process, the egodriver contract on a loopback port, and a
// client that behaves as alpasim's runtime does.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/image/encode.h"
#include "egodriver/egodriver.grpc.pb.h"
#include "services/egodriver/egodriver_port.h"
#include "services/planning/planning_server.h"
#include "tests/fakes/fake_action_expert.h"
#include "tests/integration/reasoning/lane_fixture.h"

namespace automot::egodriver {

namespace wire = ::egodriver;
inline constexpr char kRevision[] = "00112233445566778899aabbccddeeff";

inline void SetPatience(grpc::ClientContext* call) {
  call->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
}

inline std::string Jpeg(int width = 64, int height = 36) {
  return *image::EncodeJpeg(
      {width, height, std::vector<uint8_t>(static_cast<std::size_t>(width) * height * 3, 99)});
}

// A vehicle on a circle of 60 m to the left, away from the local frame's origin.
struct Place {
  double x, y, yaw;
};
inline Place PlaceAt(uint64_t time_us, double speed_mps = 6.0) {
  const double turned = speed_mps * static_cast<double>(time_us) * 1e-6 / 60.0;
  return {400.0 + 60.0 * std::sin(turned), -150.0 - 60.0 * std::cos(turned), turned};
}

inline void FillPose(const Place& place, ::common::Pose* pose) {
  pose->mutable_vec()->set_x(static_cast<float>(place.x));
  pose->mutable_vec()->set_y(static_cast<float>(place.y));
  pose->mutable_vec()->set_z(2.5F);
  pose->mutable_quat()->set_w(static_cast<float>(std::cos(place.yaw / 2)));
  pose->mutable_quat()->set_z(static_cast<float>(std::sin(place.yaw / 2)));
}

inline wire::DriveSessionRequest SessionRequest(const std::string& id) {
  wire::DriveSessionRequest request;
  request.set_session_uuid(id);
  request.set_random_seed(1234567);
  auto* camera = request.mutable_rollout_spec()->mutable_vehicle()->add_available_cameras();
  camera->set_logical_id("camera_front_wide_120fov");
  auto* spec = camera->mutable_intrinsics();
  spec->set_resolution_w(640);
  spec->set_resolution_h(360);
  auto* lens = spec->mutable_opencv_pinhole_param();
  lens->set_principal_point_x(320);
  lens->set_principal_point_y(180);
  lens->set_focal_length_x(185);
  lens->set_focal_length_y(185);
  auto* quat = camera->mutable_rig_to_camera()->mutable_quat();
  quat->set_w(0.5F);
  quat->set_x(-0.5F);
  quat->set_y(0.5F);
  quat->set_z(-0.5F);
  return request;
}

// One rollout over a channel of its own. A failed call fails the test.
class Simulator {
 public:
  Simulator(const std::string& address, std::string id) : id_(std::move(id)) {
    stub_ = wire::EgodriverService::NewStub(
        grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  }

  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (wire::EgodriverService::Stub::*method)(grpc::ClientContext*,
                                                                         const Request&, Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext call;
    SetPatience(&call);
    return (stub_.get()->*method)(&call, request, response);
  }

  grpc::Status Start(const char* revision = nullptr) {
    grpc::ClientContext call;
    SetPatience(&call);
    if (revision != nullptr) call.AddMetadata("carla-driver-interface-contract", revision);
    ::common::SessionRequestStatus response;
    return stub_->start_session(&call, SessionRequest(id_), &response);
  }
  grpc::Status Image(uint64_t time_us, const std::string& bytes = Jpeg()) {
    wire::RolloutCameraImage request;
    request.set_session_uuid(id_);
    auto* image = request.mutable_camera_image();
    image->set_frame_start_us(time_us);
    image->set_frame_end_us(time_us);
    image->set_logical_id("camera_front_wide_120fov");
    image->set_image_bytes(bytes);
    ::common::Empty response;
    return Call(&wire::EgodriverService::Stub::submit_image_observation, request, &response);
  }
  // Poses every 50 ms in (from, to], as pose_reporting_interval_us has it.
  grpc::Status Egomotion(uint64_t from_us, uint64_t to_us, bool states = true) {
    wire::RolloutEgoTrajectory request;
    request.set_session_uuid(id_);
    for (uint64_t time = from_us; time <= to_us; time += 50'000) {
      auto* pose = request.mutable_trajectory()->add_poses();
      pose->set_timestamp_us(time);
      FillPose(PlaceAt(time), pose->mutable_pose());
      if (!states) continue;
      auto* state = request.add_dynamic_states();
      state->mutable_linear_velocity()->set_x(6.0F);
      state->mutable_angular_velocity()->set_z(0.1F);
    }
    ::common::Empty response;
    return Call(&wire::EgodriverService::Stub::submit_egomotion_observation, request, &response);
  }
  // 20 waypoints over 80 m, NaN from the tenth on.
  grpc::Status Route(uint64_t time_us) {
    wire::RouteRequest request;
    request.set_session_uuid(id_);
    request.mutable_route()->set_timestamp_us(time_us);
    for (int i = 0; i < 20; ++i) {
      auto* waypoint = request.mutable_route()->add_waypoints();
      const double along = i * 80.0 / 19 / 60.0;
      waypoint->set_x(static_cast<float>(i < 10 ? 60.0 * std::sin(along) : NAN));
      waypoint->set_y(static_cast<float>(i < 10 ? 60.0 * (1 - std::cos(along)) : NAN));
      waypoint->set_z(static_cast<float>(i < 10 ? 0.0 : NAN));
    }
    ::common::Empty response;
    return Call(&wire::EgodriverService::Stub::submit_route, request, &response);
  }
  grpc::Status Drive(uint64_t now_us, wire::DriveResponse* response,
                     const std::string& renderer_data = "") {
    wire::DriveRequest request;
    request.set_session_uuid(id_);
    request.set_time_now_us(now_us);
    request.set_time_query_us(now_us + 100'000);
    request.set_renderer_data(renderer_data);
    return Call(&wire::EgodriverService::Stub::drive, request, response);
  }
  grpc::Status Close() {
    wire::DriveSessionCloseRequest request;
    request.set_session_uuid(id_);
    ::common::Empty response;
    return Call(&wire::EgodriverService::Stub::close_session, request, &response);
  }

  // One control step: image, then egomotion and route at once, a barrier, then drive.
  void Step(uint64_t now_us, wire::DriveResponse* response) {
    ExpectOk(Image(now_us));
    std::thread moving(
        [&] { ExpectOk(Egomotion(now_us >= 50'000 ? now_us - 50'000 : 0, now_us)); });
    std::thread routing([&] { ExpectOk(Route(now_us)); });
    moving.join();
    routing.join();
    ExpectOk(Drive(now_us, response));
  }

  static void ExpectOk(const grpc::Status& status) {
    EXPECT_TRUE(status.ok()) << status.error_code() << ": " << status.error_message();
  }
  wire::EgodriverService::Stub& stub() { return *stub_; }
  const std::string& id() const { return id_; }

 private:
  const std::string id_;
  std::unique_ptr<wire::EgodriverService::Stub> stub_;
};

// What any plan must be (egodriver contract).
inline void ExpectPlan(const wire::DriveResponse& response, uint64_t now_us) {
  const auto& poses = response.trajectory().poses();
  ASSERT_EQ(poses.size(), 51);
  EXPECT_FALSE(response.terminate_session());
  EXPECT_EQ(poses[0].timestamp_us(), now_us);
  const Place place = PlaceAt(now_us);
  EXPECT_NEAR(poses[0].pose().vec().x(), place.x, 1e-3);
  EXPECT_NEAR(poses[0].pose().vec().y(), place.y, 1e-3);
  for (int i = 0; i < poses.size(); ++i) {
    EXPECT_EQ(poses[i].timestamp_us(), now_us + static_cast<uint64_t>(i) * 100'000);
    EXPECT_FLOAT_EQ(poses[i].pose().vec().z(), 2.5F);
    const auto& q = poses[i].pose().quat();
    EXPECT_NEAR(q.w() * q.w() + q.x() * q.x() + q.y() * q.y() + q.z() * q.z(), 1.0, 1e-5);
  }
}

class EgodriverServiceTest : public ::testing::Test {
 protected:
  EgodriverServiceTest() { control_->info.model_revision = kRevision; }
  void SetUp() override { Serve({}); }
  void TearDown() override { Stop(); }

  void Serve(const EgodriverFlags& flags) {
    Stop();
    reasoning_ = std::make_unique<ReasoningProcess>(control_, "127.0.0.1:0");
    expert_.mutable_info().model_revision = kRevision;
    expert_.mutable_info().target_point_rule = "route_distance:8,20";
    auto engine = planning::PlanningEngine::Create({}, expert(), &reasoning_->engine(), &clock_,
                                                   &planning_metrics_, recorder_);
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
    context_ = {engine_.get(), &clock_, &planning_metrics_, {&allow_list_}};
    auto port = EgodriverPort::Create(flags, context_, &metrics_);
    ASSERT_TRUE(port.ok()) << port.status();
    port_ = std::make_unique<EgodriverPort>(*std::move(port));
    auto server = planning::PlanningServer::Start(
        {.address = "127.0.0.1:0", .drain_deadline = absl::Seconds(30)}, context_,
        port_->extension());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  void Stop() {
    for (fakes::Gate* gate : {&control_->encode_gate, &control_->prefill_gate}) gate->Open();
    // Left rollouts would be waited for.
    if (port_ != nullptr && port_->extension() != nullptr) {
      port_->extension()->Drain(absl::ZeroDuration());
    }
    server_.reset();
    port_.reset();
    engine_.reset();
    reasoning_.reset();
  }

  virtual planning::ActionExpert* expert() { return &expert_; }

  Simulator MakeSimulator(const std::string& id) { return {server_->address(), id}; }

  MonotonicClock clock_;
  std::shared_ptr<fakes::FakeExpertControl> control_ = std::make_shared<fakes::FakeExpertControl>();
  planning::FakeActionExpert expert_;
  planning::PlanRecorder* recorder_ = nullptr;  // set before Serve
  planning::PlanningMetrics planning_metrics_;
  EgodriverMetrics metrics_;
  const rpc::ClientAllowList allow_list_{rpc::TlsOptions{}};
  std::unique_ptr<ReasoningProcess> reasoning_;
  std::unique_ptr<planning::PlanningEngine> engine_;
  planning::PlanningContext context_;
  std::unique_ptr<EgodriverPort> port_;
  std::unique_ptr<planning::PlanningServer> server_;
};

}  // namespace automot::egodriver
