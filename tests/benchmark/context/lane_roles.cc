#include "tests/benchmark/context/lane_roles.h"

#include <memory>
#include <stdexcept>
#include <utility>

#include "common/rpc/snapshot_transport.h"
#include "common/time/clock.h"
#include "nlohmann/json.hpp"
#include "services/planning/lane/grpc_snapshot_channel.h"
#include "services/reasoning/reasoning_server.h"
#include "tests/benchmark/comparison/child_process.h"
#include "tests/benchmark/context/snapshot_consumer.h"
#include "tests/benchmark/context/timed_expert.h"

namespace automot::benchmarks {
namespace {

using nlohmann::json;

// The reasoning engine with the timed expert.
class Producer {
 public:
  Producer()
      : engine_(std::make_unique<reasoning::ReasoningEngine>(
            reasoning::ReasoningOptions{.worker = {.publish_decisions = false}},
            [control = control_] {
              return absl::StatusOr<std::unique_ptr<reasoning::UnderstandingExpert>>(
                  std::make_unique<TimedExpert>(control));
            },
            &clock_)) {
    if (!engine_->WaitUntilReady(absl::Minutes(1)).ok()) throw std::runtime_error("not ready");
  }
  std::unique_ptr<reasoning::ReasoningEngine>& engine() { return engine_; }
  void Answer(const json& request) {
    if (request.contains("layer_us")) control_->layer_us = request.at("layer_us").get<int64_t>();
  }

 private:
  MonotonicClock clock_;
  std::shared_ptr<TimedExpertControl> control_ = std::make_shared<TimedExpertControl>();
  std::unique_ptr<reasoning::ReasoningEngine> engine_;
};

json Consume(SnapshotConsumer& consumer, const json& request) {
  if (!request.contains("snapshots")) return json::object();
  const DeliveryTimes times =
      consumer.Run(request.at("snapshots").get<int>(), request.at("ahead").get<int>());
  return {{"wall_s", times.wall_s}, {"bytes", times.bytes}, {"visible_ms", times.visible_ms}};
}

std::unique_ptr<context::SnapshotChannel> OpenChannel(const std::string& lane,
                                                      const std::string& address) {
  if (lane == "grpc") {
    planning::GrpcSnapshotChannelOptions options;
    options.addresses = {address};
    auto channel = planning::GrpcSnapshotChannel::Create(std::move(options));
    if (!channel.ok()) throw std::runtime_error(std::string(channel.status().message()));
    return *std::move(channel);
  }
  throw std::runtime_error("no lane \"" + lane + "\"");
}

}  // namespace

int RunProducer() {
  rpc::PrepareProcessForSnapshots();
  Producer producer;
  auto server =
      reasoning::ReasoningServer::Start({.address = "127.0.0.1:0"}, producer.engine().get());
  if (!server.ok()) throw std::runtime_error(std::string(server.status().message()));
  AnswerParent({{"address", (*server)->address()}}, [&](const json& request) {
    producer.Answer(request);
    return json::object();
  });
  return 0;
}

int RunConsumer(const std::string& lane, const std::string& address) {
  rpc::PrepareProcessForSnapshots();
  SnapshotConsumer consumer(OpenChannel(lane, address));
  AnswerParent(json::object(), [&](const json& request) { return Consume(consumer, request); });
  return 0;
}

int RunInProcess() {
  Producer producer;
  SnapshotConsumer consumer(std::move(producer.engine()));
  AnswerParent(json::object(), [&](const json& request) {
    producer.Answer(request);
    return Consume(consumer, request);
  });
  return 0;
}

}  // namespace automot::benchmarks
