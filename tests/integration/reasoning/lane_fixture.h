// The reasoning service on a loopback port with the fake expert, and the planner's lane to it: by
// gRPC alone, or with keys and values in shared memory.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "services/planning/lane/grpc_snapshot_channel.h"
#include "services/reasoning/reasoning_server.h"
#include "tests/fakes/fake_understanding_expert.h"
#include "tests/fakes/recording_receiver.h"
#include "tests/fakes/slow_observations.h"
#include "tests/unit/common/shared_memory/socket_folder.h"

namespace automot {

// One reasoning process: dies as a whole.
class ReasoningProcess {
 public:
  // `socket`: of the shared-memory lane; empty: none.
  ReasoningProcess(std::shared_ptr<fakes::FakeExpertControl> control, const std::string& address,
                   reasoning::ReasoningOptions options = {}, const std::string& socket = "",
                   const shared_memory::LoanLimits& limits = {},
                   reasoning::ReasoningEvents* events = reasoning::ReasoningEvents::None())
      : ReasoningProcess(std::move(control), std::move(options),
                         {.address = address,
                          .drain_deadline = absl::Seconds(30),
                          .shared_memory = {.path = socket, .limits = limits}},
                         events) {}

  ReasoningProcess(std::shared_ptr<fakes::FakeExpertControl> control,
                   reasoning::ReasoningOptions options,
                   const reasoning::ReasoningServerOptions& server_options,
                   reasoning::ReasoningEvents* events = reasoning::ReasoningEvents::None()) {
    options.pool.prefault = false;
    if (!server_options.shared_memory.path.empty())
      options.pool.backing = context::KvBufferPool::Backing::kSharedRegion;
    engine_ = std::make_unique<reasoning::ReasoningEngine>(
        options,
        [control] {
          return absl::StatusOr<std::unique_ptr<reasoning::UnderstandingExpert>>(
              std::make_unique<fakes::FakeUnderstandingExpert>(control));
        },
        &clock_, events);
    EXPECT_TRUE(engine_->WaitUntilReady(absl::Seconds(30)).ok());
    auto server = reasoning::ReasoningServer::Start(server_options, engine_.get());
    EXPECT_TRUE(server.ok()) << server.status();
    if (server.ok()) server_ = *std::move(server);
  }

  reasoning::ReasoningServer& server() { return *server_; }
  reasoning::ReasoningEngine& engine() { return *engine_; }
  const std::string& address() const { return server_->address(); }

 private:
  MonotonicClock clock_;
  std::unique_ptr<reasoning::ReasoningEngine> engine_;
  std::unique_ptr<reasoning::ReasoningServer> server_;  // before the engine goes
};

class LaneTest : public ::testing::TestWithParam<context::Lane> {
 protected:
  virtual context::Lane lane() const { return GetParam(); }
  std::unique_ptr<ReasoningProcess> MakeReasoning(const std::string& address = "127.0.0.1:0",
                                                  reasoning::ReasoningOptions options = {}) {
    if (lane() == context::Lane::kGrpc) {
      return std::make_unique<ReasoningProcess>(control_, address, options);
    }
    const std::string socket = folder_.folder() + "/" + std::to_string(++sockets_);
    return std::make_unique<ReasoningProcess>(control_, address, options, socket, limits_, events_);
  }
  void StartReasoning(const std::string& address = "127.0.0.1:0",
                      reasoning::ReasoningOptions options = {}) {
    process_ = MakeReasoning(address, options);
  }
  void StartChannel() { channel_ = MakeChannel({process_->address()}); }
  std::unique_ptr<planning::GrpcSnapshotChannel> MakeChannel(
      std::vector<std::string> addresses) const {
    planning::GrpcSnapshotChannelOptions options;
    options.lane = lane();
    options.addresses = std::move(addresses);
    options.pool.prefault = false;
    options.timeouts.first_retry = absl::Milliseconds(5);
    options.timeouts.last_retry = absl::Milliseconds(50);
    auto channel = planning::GrpcSnapshotChannel::Create(options);
    EXPECT_TRUE(channel.ok()) << channel.status();
    return *std::move(channel);
  }
  void TearDown() override {
    for (fakes::Gate* gate :
         {&control_->encode_gate, &control_->prefill_gate, &control_->layer_gate,
          &control_->decide_gate, &control_->token_gate}) {
      gate->Open();
    }
    channel_.reset();
    process_.reset();
  }

  static context::AttachRequest Request(uint64_t session, uint64_t epoch) {
    return {.session = session,
            .episode = 1,
            .epoch = epoch,
            .session_name = "car" + std::to_string(session),
            .model_revision = "00112233445566778899aabbccddeeff"};
  }
  absl::Status SubmitAt(uint64_t session, SessionTimeUs time, uint8_t brightness = 1) {
    return channel_->Submit(fakes::SlowObservationAt(session, time, brightness));
  }

  const shared_memory::SocketFolder folder_;
  int sockets_ = 0;
  shared_memory::LoanLimits limits_;                                         // of shared memory
  reasoning::ReasoningEvents* events_ = reasoning::ReasoningEvents::None();  // of shared memory
  std::shared_ptr<fakes::FakeExpertControl> control_ = std::make_shared<fakes::FakeExpertControl>();
  std::unique_ptr<ReasoningProcess> process_;
  std::unique_ptr<planning::GrpcSnapshotChannel> channel_;
};

// Instantiates the suite once for each lane between processes.
inline auto BothLanes() {
  return ::testing::Values(context::Lane::kGrpc, context::Lane::kSharedMemory);
}
inline std::string LaneName(const ::testing::TestParamInfo<context::Lane>& info) {
  return context::ToString(info.param);
}

// Every byte of `snapshot` is what the fake expert makes of these frames.
inline void ExpectFakeTensors(const context::ContextSnapshot& snapshot,
                              const std::vector<uint64_t>& brightness) {
  const uint64_t seed = fakes::FakeSeed(brightness, snapshot.header.prompt.speed_mps);
  for (int layer = 0; layer < snapshot.kv.layout().layers; ++layer) {
    for (const auto tensor : {context::TensorKind::kKey, context::TensorKind::kValue}) {
      const auto bytes = snapshot.kv.Tensor(layer, tensor);
      for (std::size_t i = 0; i < bytes.size(); ++i) {
        ASSERT_EQ(bytes[i], fakes::FakeTensorByte(seed, layer, tensor, i))
            << "layer " << layer << ", byte " << i;
      }
    }
  }
}

}  // namespace automot
