#include "tests/benchmark/context/lane_roles.h"

#include <cstdlib>
#include <filesystem>
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
  explicit Producer(context::KvBufferPool::Backing backing)
      : engine_(std::make_unique<reasoning::ReasoningEngine>(
            reasoning::ReasoningOptions{.worker = {.publish_decisions = false},
                                        .pool = {.backing = backing}},
            [control = control_] {
              return absl::StatusOr<std::unique_ptr<reasoning::UnderstandingExpert>>(
                  std::make_unique<TimedExpert>(control));
            },
            &clock_)) {
    if (!engine_->WaitUntilReady(absl::Minutes(1)).ok()) throw std::runtime_error("not ready");
  }
  std::unique_ptr<reasoning::ReasoningEngine>& engine() { return engine_; }
  json Answer(const json& request) {
    if (request.contains("layer_us")) control_->layer_us = request.at("layer_us").get<int64_t>();
    return {{"buffers", control_->buffers.load()}};
  }

 private:
  MonotonicClock clock_;
  std::shared_ptr<TimedExpertControl> control_ = std::make_shared<TimedExpertControl>();
  std::unique_ptr<reasoning::ReasoningEngine> engine_;
};

// A private folder for the shared-memory lane's socket, removed with what it holds.
class SocketFolder {
 public:
  SocketFolder() {
    std::string pattern = std::filesystem::temp_directory_path() / "automot-bench-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no folder for a socket");
    path_ = pattern;
  }
  ~SocketFolder() { std::filesystem::remove_all(path_); }
  SocketFolder(const SocketFolder&) = delete;
  SocketFolder& operator=(const SocketFolder&) = delete;
  std::string socket() const { return path_ / "socket"; }

 private:
  std::filesystem::path path_;
};

json Consume(SnapshotConsumer& consumer, const json& request) {
  if (!request.contains("snapshots")) return json::object();
  const DeliveryTimes times =
      consumer.Run(request.at("snapshots").get<int>(), request.at("ahead").get<int>());
  return {{"wall_s", times.wall_s},
          {"bytes", times.bytes},
          {"bytes_copied", times.bytes_copied},
          {"visible_ms", times.visible_ms}};
}

context::Lane LaneOf(const std::string& name) {
  for (const auto lane : {context::Lane::kGrpc, context::Lane::kSharedMemory}) {
    if (name == context::ToString(lane)) return lane;
  }
  throw std::runtime_error("no lane \"" + name + "\"");
}

std::unique_ptr<context::SnapshotChannel> OpenChannel(const std::string& lane,
                                                      const std::string& address) {
  planning::GrpcSnapshotChannelOptions options;
  options.addresses = {address};
  options.lane = LaneOf(lane);
  // A machine that others use may keep a process waiting for seconds: that is no frozen peer.
  options.ping_timeout = absl::Minutes(1);
  auto channel = planning::GrpcSnapshotChannel::Create(std::move(options));
  if (!channel.ok()) throw std::runtime_error(std::string(channel.status().message()));
  return *std::move(channel);
}

}  // namespace

int RunProducer(const std::string& lane) {
  rpc::PrepareProcessForSnapshots();
  const SocketFolder folder;
  const bool shares = LaneOf(lane) == context::Lane::kSharedMemory;
  Producer producer(shares ? context::KvBufferPool::Backing::kSharedRegion
                           : context::KvBufferPool::Backing::kPrivate);
  reasoning::ReasoningServerOptions options{.address = "127.0.0.1:0"};
  // One way in every refresh, so that refreshes compare.
  options.layer_streaming = reasoning::LayerStreaming::Setting::kOn;
  if (shares) options.shared_memory.path = folder.socket();
  auto server = reasoning::ReasoningServer::Start(options, producer.engine().get());
  if (!server.ok()) throw std::runtime_error(std::string(server.status().message()));
  AnswerParent({{"address", (*server)->address()}},
               [&](const json& request) { return producer.Answer(request); });
  return 0;
}

int RunConsumer(const std::string& lane, const std::string& address) {
  rpc::PrepareProcessForSnapshots();
  SnapshotConsumer consumer(OpenChannel(lane, address));
  AnswerParent(json::object(), [&](const json& request) { return Consume(consumer, request); });
  return 0;
}

int RunInProcess() {
  Producer producer(context::KvBufferPool::Backing::kPrivate);
  SnapshotConsumer consumer(std::move(producer.engine()));
  AnswerParent(json::object(), [&](const json& request) {
    json answer = Consume(consumer, request);
    answer.update(producer.Answer(request));
    return answer;
  });
  return 0;
}

}  // namespace automot::benchmarks
