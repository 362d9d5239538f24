// What a broken or hostile client sends: typed statuses, bounded memory, and honest rollouts go on.
#include <fstream>
#include <limits>
#include <string>

#include "tests/integration/egodriver/egodriver_fixture.h"

namespace automot::egodriver {
namespace {

using grpc::StatusCode;

// Resident memory of this process, MiB.
double ResidentMib() {
  std::ifstream file("/proc/self/statm");
  long total = 0, resident = 0;
  file >> total >> resident;
  return static_cast<double>(resident) * 4096.0 / (1 << 20);
}

TEST_F(EgodriverServiceTest, HostileObservationsAreRefusedAndTheRolloutGoesOn) {
  Simulator simulator = MakeSimulator("a");
  Simulator::ExpectOk(simulator.Start());
  EXPECT_EQ(simulator.Image(0, "GIF89a").error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(simulator.Image(0, Jpeg().substr(0, 200)).error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(simulator.Image(~uint64_t{0}).error_code(), StatusCode::INVALID_ARGUMENT);

  wire::RolloutEgoTrajectory poses;
  poses.set_session_uuid("a");
  auto* pose = poses.mutable_trajectory()->add_poses()->mutable_pose();
  FillPose({std::numeric_limits<double>::quiet_NaN(), 0, 0}, pose);
  ::common::Empty empty;
  const auto submit = &wire::EgodriverService::Stub::submit_egomotion_observation;
  EXPECT_EQ(simulator.Call(submit, poses, &empty).error_code(), StatusCode::INVALID_ARGUMENT);
  FillPose({std::numeric_limits<double>::infinity(), 0, 0}, pose);
  EXPECT_EQ(simulator.Call(submit, poses, &empty).error_code(), StatusCode::INVALID_ARGUMENT);

  wire::DriveResponse response;
  EXPECT_EQ(simulator.Drive(~uint64_t{0} - 5, &response).error_code(), StatusCode::INVALID_ARGUMENT)
      << "a negative time";
  EXPECT_EQ(simulator.Drive(0, &response).error_code(), StatusCode::FAILED_PRECONDITION)
      << "no pose was taken";
  simulator.Step(100'000, &response);
  ExpectPlan(response, 100'000);
  EXPECT_EQ(simulator.Drive(50'000, &response).error_code(), StatusCode::INVALID_ARGUMENT)
      << "time runs back";
  simulator.Step(200'000, &response);
  ExpectPlan(response, 200'000);
}

TEST_F(EgodriverServiceTest, FloodsOfObservationsKeepMemoryBounded) {
  Simulator simulator = MakeSimulator("flood");
  Simulator::ExpectOk(simulator.Start());
  wire::RolloutEgoTrajectory poses;
  poses.set_session_uuid("flood");
  for (uint64_t i = 0; i < 20'000; ++i) {
    auto* pose = poses.mutable_trajectory()->add_poses();
    pose->set_timestamp_us(i * 10);
    FillPose(PlaceAt(i * 10), pose->mutable_pose());
  }
  wire::RouteRequest route;
  route.set_session_uuid("flood");
  for (int i = 0; i < 50'000; ++i) {
    route.mutable_route()->add_waypoints()->set_x(static_cast<float>(i));
  }
  ::common::Empty empty;
  double before = 0.0;
  for (int round = 0; round < 40; ++round) {
    if (round == 10) before = ResidentMib();
    Simulator::ExpectOk(
        simulator.Call(&wire::EgodriverService::Stub::submit_egomotion_observation, poses, &empty));
    Simulator::ExpectOk(simulator.Call(&wire::EgodriverService::Stub::submit_route, route, &empty));
    for (uint64_t i = 0; i < 10; ++i) {
      Simulator::ExpectOk(simulator.Image(i * 1000 + static_cast<uint64_t>(round), Jpeg(256, 144)));
    }
  }
  // 30 rounds brought 600,000 poses, 1.5 million waypoints and 300 frames.
  EXPECT_LT(ResidentMib() - before, 64.0);
  wire::DriveResponse response;
  simulator.Step(300'000, &response);
  ExpectPlan(response, 300'000);
}

TEST_F(EgodriverServiceTest, AMessageOverTheLimitIsRefused) {
  Simulator simulator = MakeSimulator("big");
  Simulator::ExpectOk(simulator.Start());
  const std::string frame(std::size_t{65} << 20, '\xff');
  EXPECT_EQ(simulator.Image(0, frame).error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(simulator.Image(0, frame + frame).error_code(), StatusCode::RESOURCE_EXHAUSTED);
}

}  // namespace
}  // namespace automot::egodriver
