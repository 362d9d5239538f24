// The reasoning service on a loopback port with the fake expert, and a plain generated stub.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "automot/v1/reasoning_service.grpc.pb.h"
#include "services/reasoning/reasoning_server.h"
#include "tests/fakes/fake_understanding_expert.h"
#include "tests/support/health_check.h"

namespace automot {

inline void SetDeadline(grpc::ClientContext* call) {
  call->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
}

// A SubscribeContexts call, cancelled when it goes out of scope.
class Subscription {
 public:
  Subscription(v1::ReasoningService::Stub& stub, const v1::SubscribeContextsRequest& request) {
    SetDeadline(&call_);
    reader_ = stub.SubscribeContexts(&call_, request);
  }
  ~Subscription() {
    call_.TryCancel();
    v1::SubscribeContextsResponse rest;
    while (reader_->Read(&rest)) {
    }
    if (!finished_) reader_->Finish();
  }
  bool Read(v1::SubscribeContextsResponse* message) { return reader_->Read(message); }
  void Cancel() { call_.TryCancel(); }
  grpc::Status Finish() {
    finished_ = true;
    return reader_->Finish();
  }

 private:
  grpc::ClientContext call_;
  std::unique_ptr<grpc::ClientReader<v1::SubscribeContextsResponse>> reader_;
  bool finished_ = false;
};

class ServiceTest : public ::testing::Test {
 protected:
  struct Process {
    MonotonicClock clock;
    std::unique_ptr<reasoning::ReasoningEngine> engine_owner;
    std::unique_ptr<reasoning::ReasoningServer> server;
    reasoning::ReasoningEngine& engine() { return *engine_owner; }
  };

  void Start(const reasoning::ReasoningOptions& options = {}) {
    StartWithoutWaiting(options);
    ASSERT_TRUE(process_->engine_owner->WaitUntilReady(absl::Seconds(30)).ok());
  }
  void StartWithoutWaiting(reasoning::ReasoningOptions options = {}) {
    options.pool.prefault = false;
    process_ = std::make_unique<Process>();
    process_->engine_owner = std::make_unique<reasoning::ReasoningEngine>(
        options,
        [control = control_] {
          return absl::StatusOr<std::unique_ptr<reasoning::UnderstandingExpert>>(
              std::make_unique<fakes::FakeUnderstandingExpert>(control));
        },
        &process_->clock);
    auto server =
        reasoning::ReasoningServer::Start({.address = "127.0.0.1:0"}, process_->engine_owner.get());
    ASSERT_TRUE(server.ok()) << server.status();
    process_->server = *std::move(server);
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(8 << 20);
    channel_ = grpc::CreateCustomChannel(process_->server->address(),
                                         grpc::InsecureChannelCredentials(), arguments);
    stub_ = v1::ReasoningService::NewStub(channel_);
  }
  void TearDown() override {
    for (fakes::Gate* gate :
         {&control_->prefill_gate, &control_->layer_gate, &control_->token_gate})
      gate->Open();
    process_.reset();
  }

  HealthStatus Health(const std::string& service) const { return CheckHealth(channel_, service); }

  static v1::SubscribeContextsRequest SubscribeTo(const std::string& session, uint64_t epoch) {
    v1::SubscribeContextsRequest request;
    request.set_session(session);
    request.set_episode(1);
    request.set_epoch(epoch);
    request.set_reasoning_rate_hz(2.0);
    request.set_model_revision("00112233445566778899aabbccddeeff");
    return request;
  }
  static v1::Observation ObservationAt(int64_t time_us) {
    v1::Observation observation;
    observation.set_capture_time_us(time_us);
    v1::CameraImage* image = observation.add_camera_images();
    image->set_capture_time_us(time_us);
    image->set_encoding(v1::IMAGE_ENCODING_RAW_RGB);
    image->set_width(4);
    image->set_height(2);
    image->set_data(std::string(24, '\x11'));
    observation.mutable_ego_state()->set_speed_mps(5.0);
    observation.mutable_route_target()->mutable_current_target_point()->set_x(10.0);
    observation.mutable_route_target()->mutable_next_target_point()->set_x(20.0);
    return observation;
  }
  static v1::SubmitObservationRequest SubmissionAt(const std::string& session, uint64_t epoch,
                                                   int64_t time_us) {
    v1::SubmitObservationRequest request;
    request.set_session(session);
    request.set_episode(1);
    request.set_epoch(epoch);
    *request.mutable_observation()->mutable_observation() = ObservationAt(time_us);
    return request;
  }
  grpc::Status Send(const v1::SubmitObservationRequest& request) {
    grpc::ClientContext call;
    SetDeadline(&call);
    v1::SubmitObservationResponse response;
    return stub_->SubmitObservation(&call, request, &response);
  }
  grpc::Status Submit(const std::string& session, uint64_t epoch, int64_t time_us) {
    return Send(SubmissionAt(session, epoch, time_us));
  }

  std::shared_ptr<fakes::FakeExpertControl> control_ = std::make_shared<fakes::FakeExpertControl>();
  std::unique_ptr<Process> process_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::ReasoningService::Stub> stub_;
};

}  // namespace automot
