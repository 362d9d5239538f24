// The planning service on a loopback port with the fake action expert, over either lane to a
// reasoning service with its fake expert, and generated stubs as a foreign client has them.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "automot/v1/planning_service.grpc.pb.h"
#include "services/planning/planning_server.h"
#include "tests/fakes/fake_action_expert.h"
#include "tests/fakes/gate.h"
#include "tests/integration/reasoning/lane_fixture.h"

namespace automot {

inline constexpr char kFakeRevision[] = "00112233445566778899aabbccddeeff";

// Longer than any of these tests takes: a hanging call fails its test, nothing else.
inline void SetPatience(grpc::ClientContext* call) {
  call->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
}

// What a vehicle with every sensor saw: the fake expert's camera, a LiDAR that saw nothing, a pose
// that moves 5 m/s along x.
inline v1::Observation SeenAt(int64_t time_us) {
  v1::Observation seen;
  seen.set_capture_time_us(time_us);
  v1::CameraImage* image = seen.add_camera_images();
  image->set_capture_time_us(time_us);
  image->set_encoding(v1::IMAGE_ENCODING_RAW_RGB);
  image->set_width(8);
  image->set_height(4);
  image->set_data(std::string(static_cast<size_t>(8 * 4 * 3), '\x11'));
  seen.mutable_lidar();
  seen.mutable_ego_state()->set_speed_mps(5.0);
  seen.mutable_ego_state()->mutable_pose()->mutable_position()->set_x(5e-6 *
                                                                      static_cast<double>(time_us));
  seen.mutable_route_target()->mutable_current_target_point()->set_x(10.0);
  seen.mutable_route_target()->mutable_next_target_point()->set_x(20.0);
  return seen;
}

inline v1::SessionOptions OptionsOf(v1::TimeMode mode) {
  v1::SessionOptions options;
  options.set_planning_rate_hz(20.0);
  options.set_reasoning_rate_hz(2.0);
  options.set_time_mode(mode);
  return options;
}

// One planning process: dies as a whole.
class PlanningProcess {
 public:
  struct Options {
    planning::PlanningEngineOptions engine;
    planning::PlanningServerOptions server{.address = "127.0.0.1:0"};
    rpc::ClientQuotaOptions quotas;
    const Clock* clock = nullptr;  // in place of the real one
  };

  // `channel` outlives the process.
  PlanningProcess(const Options& options, context::SnapshotChannel* channel)
      : clock_(options.clock != nullptr ? options.clock : &real_clock_),
        allow_list_(options.server.tls) {
    expert_.mutable_info().model_revision = kFakeRevision;
    auto engine =
        planning::PlanningEngine::Create(options.engine, &expert_, channel, clock_, &metrics_);
    EXPECT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
    quotas_ = std::make_unique<rpc::ClientQuotas>(options.quotas, clock_);
    context_ = {engine_.get(), clock_, &metrics_, {&allow_list_, quotas_.get()}};
    auto server = planning::PlanningServer::Start(options.server, context_);
    EXPECT_TRUE(server.ok()) << server.status();
    if (server.ok()) server_ = *std::move(server);
  }

  planning::FakeActionExpert& expert() { return expert_; }
  planning::PlanningEngine& engine() { return *engine_; }
  planning::PlanningServer& server() { return *server_; }

 private:
  MonotonicClock real_clock_;
  const Clock* const clock_;
  planning::FakeActionExpert expert_;
  planning::PlanningMetrics metrics_;
  rpc::ClientAllowList allow_list_;
  std::unique_ptr<rpc::ClientQuotas> quotas_;
  planning::PlanningContext context_;
  std::unique_ptr<planning::PlanningEngine> engine_;
  std::unique_ptr<planning::PlanningServer> server_;  // before the engine goes
};

// A vehicle's writer: opens its session and counts its sequence.
class Car {
 public:
  Car(v1::PlanningService::Stub* stub, std::string name, const v1::SessionOptions& options)
      : stub_(stub), name_(std::move(name)) {
    v1::OpenSessionRequest request;
    request.set_session(name_);
    *request.mutable_options() = options;
    grpc::ClientContext call;
    SetPatience(&call);
    const grpc::Status status = stub_->OpenSession(&call, request, &opened_);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }

  const std::string& name() const { return name_; }
  uint64_t lease() const { return opened_.lease(); }
  const v1::OpenSessionResponse& opened() const { return opened_; }

  // The next tick.
  v1::PlanRequest RequestAt(int64_t time_us) {
    v1::PlanRequest request;
    request.set_session(name_);
    request.set_lease(lease());
    request.set_sequence(++sequence_);
    *request.mutable_observation() = SeenAt(time_us);
    return request;
  }
  grpc::Status Send(const v1::PlanRequest& request, v1::PlanResponse* response) {
    grpc::ClientContext call;
    SetPatience(&call);
    return stub_->Plan(&call, request, response);
  }
  // A tick that must be answered.
  v1::PlanResponse PlanAt(int64_t time_us) {
    v1::PlanResponse response;
    const grpc::Status status = Send(RequestAt(time_us), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.session(), name_);
    EXPECT_EQ(response.sequence(), sequence_);
    return response;
  }
  v1::GetSessionStatusResponse Status() const {
    v1::GetSessionStatusRequest request;
    request.set_session(name_);
    v1::GetSessionStatusResponse response;
    grpc::ClientContext call;
    SetPatience(&call);
    const grpc::Status status = stub_->GetSessionStatus(&call, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  // Asks until it is so; false after a minute.
  bool WaitFor(const std::function<bool(const v1::GetSessionStatusResponse&)>& so) const {
    const absl::Time end = absl::Now() + absl::Minutes(1);
    while (!so(Status())) {
      if (absl::Now() > end) return false;
    }
    return true;
  }
  bool WaitForSnapshots(uint64_t count) const {
    return WaitFor([count](const auto& status) { return status.snapshots_published() >= count; });
  }

 private:
  v1::PlanningService::Stub* const stub_;
  const std::string name_;
  v1::OpenSessionResponse opened_;
  uint64_t sequence_ = 0;
};

// `reason` is among the answer's.
inline bool Has(const v1::PlanResponse& answer, v1::Reason reason) {
  const auto& reasons = answer.provenance().reasons();
  return std::find(reasons.begin(), reasons.end(), reason) != reasons.end();
}

class PlanningTest : public ::testing::Test {
 protected:
  PlanningTest() { control_->info.model_revision = kFakeRevision; }

  // Both services in this process, snapshots handed over by pointer.
  void StartInProcess(const PlanningProcess::Options& options = {}) {
    StartReasoning("127.0.0.1:0");
    StartPlanning(options, &reasoning_->engine());
  }

  // An answer leaves just before its place in the queue is free again.
  void AwaitFreeQueue() {
    while (planning_->engine().load().pending > 0) std::this_thread::yield();
  }
  // As two processes would: everything through sockets.
  void StartOverGrpc(const PlanningProcess::Options& options = {}) {
    StartReasoning("127.0.0.1:0");
    planning::GrpcSnapshotChannelOptions lane;
    lane.addresses = {reasoning_->address()};
    lane.pool.prefault = false;
    lane.timeouts.first_retry = absl::Milliseconds(5);
    lane.timeouts.last_retry = absl::Milliseconds(50);
    auto channel = planning::GrpcSnapshotChannel::Create(lane);
    ASSERT_TRUE(channel.ok()) << channel.status();
    lane_ = *std::move(channel);
    StartPlanning(options, lane_.get());
  }
  void StartReasoning(const std::string& address) {
    reasoning_ = std::make_unique<ReasoningProcess>(control_, address);
  }
  void StartPlanning(const PlanningProcess::Options& options, context::SnapshotChannel* channel) {
    planning_ = std::make_unique<PlanningProcess>(options, channel);
    grpc::ChannelArguments arguments;
    arguments.SetMaxSendMessageSize(-1);
    channel_ = grpc::CreateCustomChannel(planning_->server().address(),
                                         grpc::InsecureChannelCredentials(), arguments);
    stub_ = v1::PlanningService::NewStub(channel_);
  }
  void TearDown() override {
    for (fakes::Gate* gate :
         {&plan_gate_, &control_->encode_gate, &control_->prefill_gate, &control_->layer_gate}) {
      gate->Open();
    }
    planning_.reset();
    lane_.reset();
    reasoning_.reset();
  }

  Car Open(const std::string& name, v1::TimeMode mode = v1::TIME_MODE_REALTIME) {
    return Car(stub_.get(), name, OptionsOf(mode));
  }
  // A vehicle with its first context, of session time 0.
  Car OpenWithContext(const std::string& name) {
    Car car = Open(name);
    car.PlanAt(0);
    EXPECT_TRUE(car.WaitForSnapshots(1));
    return car;
  }
  // A vehicle whose context does not come before `prefill_gate` opens: its first plan is parked.
  Car OpenToPark(const std::string& name) {
    control_->prefill_gate.Close();
    return Open(name, v1::TIME_MODE_STEPPED);
  }
  static bool WaitForParked(const Car& car, uint32_t count) {
    return car.WaitFor([count](const auto& status) { return status.parked_plans() == count; });
  }
  // `car`'s parked plan was cancelled: it is gone, and its context does not bring it back.
  void ExpectParkedPlanIsGone(Car& car, uint64_t plans_before) {
    ASSERT_TRUE(WaitForParked(car, 0));
    EXPECT_EQ(car.Status().plans_answered(), 0U) << "not even with the fallback";
    control_->prefill_gate.Open();
    ASSERT_TRUE(car.WaitForSnapshots(1));
    EXPECT_FALSE(Has(car.PlanAt(100'000), v1::REASON_FALLBACK));
    EXPECT_EQ(planning_->expert().plans(), plans_before + 1);
  }
  // Holds the planning thread inside its next tick. Open `plan_gate_` to go on.
  void HoldPlanning() {
    plan_gate_.Close();
    planning_->expert().set_gate(&plan_gate_);
  }

  // Calls a unary method with a patient context.
  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (v1::PlanningService::Stub::*method)(grpc::ClientContext*,
                                                                      const Request&, Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext call;
    SetPatience(&call);
    return (stub_.get()->*method)(&call, request, response);
  }

  fakes::Gate plan_gate_;
  std::shared_ptr<fakes::FakeExpertControl> control_ = std::make_shared<fakes::FakeExpertControl>();
  std::unique_ptr<ReasoningProcess> reasoning_;
  std::unique_ptr<planning::GrpcSnapshotChannel> lane_;
  std::unique_ptr<PlanningProcess> planning_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::PlanningService::Stub> stub_;
};

}  // namespace automot
