// One producer's shared-memory connection, shared by the links of every session that it serves.
//
// Everything happens on the completion thread, but for connecting, which waits for the producer and
// has a thread of its own meanwhile. The socket's path is asked anew for each connection: a
// producer that was restarted may have another. Never another lane: where the producer offers no
// shared memory any more, connecting fails.
#pragma once

#include <grpcpp/channel.h>

#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "automot/v1/reasoning_service.grpc.pb.h"
#include "common/shared_memory/region_client.h"
#include "services/planning/lane/completion_thread.h"

namespace automot::planning {

class ContextStream;

class RegionPeer final : public std::enable_shared_from_this<RegionPeer> {
 public:
  using Connected = absl::StatusOr<std::shared_ptr<shared_memory::RegionClient>>;
  using OnConnected = std::function<void(const Connected&)>;

  RegionPeer(CompletionThread* thread, std::shared_ptr<grpc::Channel> channel,
             absl::Duration timeout)
      : thread_(thread), channel_(std::move(channel)), timeout_(timeout) {}
  // The completion thread must have been joined.
  ~RegionPeer();

  // Gives the connection in force, or a new one: at once or later.
  void Connect(OnConnected on_connected);
  // Answers nobody who still waits. The last call.
  void Close();
  // Ends the stream with UNAVAILABLE when the connection that it uses ends.
  void Watch(const std::shared_ptr<ContextStream>& stream);

 private:
  class Question;  // GetReasoningStatus

  void OnStatus(const absl::StatusOr<v1::GetReasoningStatusResponse>& status);
  void OnClient(absl::StatusOr<std::unique_ptr<shared_memory::RegionClient>> client);
  void OnEnd(const shared_memory::RegionClient* client);
  void Answer(const Connected& connected);

  CompletionThread* const thread_;
  const std::shared_ptr<grpc::Channel> channel_;
  const absl::Duration timeout_;
  std::vector<OnConnected> waiting_;  // not empty: a connection is being made
  std::shared_ptr<shared_memory::RegionClient> client_;
  std::vector<std::weak_ptr<ContextStream>> streams_;  // of client_
  std::thread connector_;
};

}  // namespace automot::planning
