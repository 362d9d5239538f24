// The contract around rollouts: version, revisions, ends, drain.
#include <grpcpp/generic/generic_stub.h>

#include "egodriver/carla_driver.pb.h"
#include "tests/integration/egodriver/egodriver_fixture.h"

namespace automot::egodriver {
namespace {

TEST_F(EgodriverServiceTest, EveryReplicaAnswersTheSameVersionWithItsRevision) {
  std::vector<std::string> answers;
  for (int replica = 0; replica < 2; ++replica) {
    Serve({});
    Simulator simulator = MakeSimulator("a");
    grpc::ClientContext call;
    SetPatience(&call);
    ::common::VersionId version;
    Simulator::ExpectOk(simulator.stub().get_version(&call, ::common::Empty(), &version));
    answers.push_back(version.SerializeAsString());
    EXPECT_EQ(version.grpc_api_version().major(), 0U);
    EXPECT_EQ(version.grpc_api_version().minor(), 55U);
    EXPECT_FALSE(version.git_hash().empty());
    const auto& metadata = call.GetServerInitialMetadata();
    const auto entry = metadata.find("carla-driver-interface-contract");
    ASSERT_NE(entry, metadata.end());
    EXPECT_EQ(std::string(entry->second.data(), entry->second.size()), "2");
  }
  EXPECT_EQ(answers[0], answers[1]);
}

TEST_F(EgodriverServiceTest, OnlyTheCarlaSideClientGetsDebugInfo) {
  for (const char* revision : {static_cast<const char*>(nullptr), "2", "1"}) {
    Simulator simulator = MakeSimulator(revision == nullptr ? "alpasim" : "carla");
    if (revision != nullptr && std::string(revision) == "1") {
      // The camera declares an optical frame: as a body it looks to the side of straight ahead.
      EXPECT_EQ(simulator.Start(revision).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
      continue;
    }
    Simulator::ExpectOk(simulator.Start(revision));
    wire::DriveResponse response;
    simulator.Step(0, &response);
    const std::string& bytes = response.debug_info().unstructured_debug_info();
    EXPECT_EQ(bytes.empty(), revision == nullptr);
    if (revision != nullptr) {
      ::carla_driver::v0::CarlaDriveDebugInfo info;
      ASSERT_TRUE(info.ParseFromString(bytes));
      EXPECT_EQ(info.policy_name(), "automot");
      EXPECT_EQ(info.scalars().at("no_lidar"), 1.0);
    }
    Simulator::ExpectOk(simulator.Close());
  }
  Simulator other = MakeSimulator("other");
  EXPECT_EQ(other.Start("7").error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(EgodriverServiceTest, ASweepInRendererDataIsUsed) {
  Simulator simulator = MakeSimulator("carla");
  Simulator::ExpectOk(simulator.Start("2"));
  Simulator::ExpectOk(simulator.Egomotion(0, 0));
  Simulator::ExpectOk(simulator.Image(0));
  ::carla_driver::v0::CarlaRendererData data;
  auto* sweep = data.add_lidar();
  sweep->set_num_points(1);
  sweep->set_points_xyzi(std::string(16, '\0'));
  wire::DriveResponse response;
  Simulator::ExpectOk(simulator.Drive(0, &response, data.SerializeAsString()));
  ::carla_driver::v0::CarlaDriveDebugInfo info;
  ASSERT_TRUE(info.ParseFromString(response.debug_info().unstructured_debug_info()));
  EXPECT_EQ(info.scalars().at("no_lidar"), 0.0);
  // Bytes of another kind are no error.
  Simulator::ExpectOk(simulator.Drive(100'000, &response, "\x80\x04junk"));
}

TEST_F(EgodriverServiceTest, ClosesThatMatchNothingAreHarmlessAndCallsThatDoAreNotFound) {
  Simulator simulator = MakeSimulator("a");
  Simulator::ExpectOk(simulator.Close());
  wire::DriveResponse response;
  EXPECT_EQ(simulator.Drive(0, &response).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(simulator.Image(0).error_code(), grpc::StatusCode::NOT_FOUND);
  Simulator::ExpectOk(simulator.Start());
  EXPECT_EQ(simulator.Start().error_code(), grpc::StatusCode::ALREADY_EXISTS);
  Simulator::ExpectOk(simulator.Close());
  Simulator::ExpectOk(simulator.Close());
  EXPECT_EQ(engine_->session_count(), 0U);
}

TEST_F(EgodriverServiceTest, CallsThatTheContractDroppedAreUnimplemented) {
  auto channel = grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
  grpc::TemplatedGenericStub<::common::Empty, ::common::Empty> stub(channel);
  for (const char* method : {"/egodriver.EgodriverService/shut_down",
                             "/carla_driver.v0.CarlaVehicleService/get_vehicle_command"}) {
    grpc::ClientContext call;
    SetPatience(&call);
    grpc::CompletionQueue queue;
    ::common::Empty request, response;
    grpc::Status status;
    auto reader = stub.PrepareUnaryCall(&call, method, request, &queue);
    reader->StartCall();
    reader->Finish(&response, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    ASSERT_TRUE(queue.Next(&tag, &ok));
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << method;
  }
}

TEST_F(EgodriverServiceTest, ADrainStartsNothingAndLetsARolloutFinish) {
  Simulator running = MakeSimulator("running");
  Simulator::ExpectOk(running.Start());
  wire::DriveResponse response;
  running.Step(0, &response);
  std::thread drain([&] { server_->Drain(); });
  Simulator late = MakeSimulator("late");
  grpc::Status status;
  do {  // the drain begins on its own thread
    status = late.Start();
    if (status.ok()) Simulator::ExpectOk(late.Close());
  } while (status.ok());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  grpc::ClientContext call;
  SetPatience(&call);
  ::common::VersionId version;
  EXPECT_EQ(late.stub().get_version(&call, ::common::Empty(), &version).error_code(),
            grpc::StatusCode::UNAVAILABLE)
      << "the probe says that nothing starts here";
  for (uint64_t now = 100'000; now <= 1'000'000; now += 100'000) running.Step(now, &response);
  ExpectPlan(response, 1'000'000);
  Simulator::ExpectOk(running.Close());
  drain.join();
}

TEST_F(EgodriverServiceTest, SwitchedOffTheServiceIsNotThere) {
  EgodriverFlags flags;
  flags.enabled = false;
  Serve(flags);
  EXPECT_EQ(MakeSimulator("a").Start().error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

}  // namespace
}  // namespace automot::egodriver
