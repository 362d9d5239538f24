// The snapshot lane between two processes: the planning side of ReasoningService over gRPC.
//
// Threads: everything runs on one thread of the lane's own, at lower priority, over connections of
// its own, so that a snapshot in transit never shares a thread or a socket with trajectory traffic.
// Public methods take a mutex for some instructions and return.
//
// Who attaches again: an epoch that was once in force is spent when its stream ends. The lane then
// reports the link down and waits for the owner to Attach with a larger epoch, which may come at
// any time and from within the callback. An attachment that never came into force is retried
// inside, with bounded exponential delay and jitter and over all producers in turn, until Detach or
// the next Attach; only ABORTED (an epoch not above the one in force) ends it. Every wait has a
// deadline; a frozen peer is noticed by pings.
//
// Shared memory: with Lane::kSharedMemory the same calls carry descriptions of where keys and
// values lie, instead of the bytes. The lane is chosen when the channel is made, and stays.
//
// Frames: the newest 32 of a session stay here and are given to every new producer before its first
// refresh, the history grid first.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/security/credentials.h>

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/context/kv_buffer_pool.h"
#include "common/context/snapshot_channel.h"
#include "services/planning/lane/completion_thread.h"
#include "services/planning/lane/endpoint_set.h"
#include "services/planning/lane/name_watch.h"
#include "services/planning/lane/observation_outbox.h"
#include "services/planning/lane/session_link.h"

namespace automot::planning {

struct GrpcSnapshotChannelOptions {
  // host:port, unix:PATH or dns:///name:port, each one producer; or dns:HOST:PORT, which is every
  // address that the name has, looked up again and again. At least one. Each session ranks them by
  // its own hash (rendezvous), so that sessions spread over producers, and keeps to one until that
  // drains, dies or is resolved no more.
  std::vector<std::string> addresses;
  Resolve resolve = ResolveBySystem;
  absl::Duration resolve_interval = absl::Seconds(5);
  std::shared_ptr<grpc::ChannelCredentials> credentials;  // null: plain text
  std::size_t session_limit = 1024;
  ObservationOutbox::Options outbox;
  LinkTimeouts timeouts;
  absl::Duration ping_interval =
      absl::Seconds(2);  // a frozen peer is noticed after interval + timeout
  absl::Duration ping_timeout = absl::Seconds(2);
  int nice_value = 5;
  context::Lane lane = context::Lane::kGrpc;         // or kSharedMemory
  absl::Duration region_timeout = absl::Seconds(2);  // of connecting to a producer's socket
  context::KvBufferPool::Options pool;
};

class GrpcSnapshotChannel final : public context::SnapshotChannel {
 public:
  // INVALID_ARGUMENT: no address, or one of another form.
  static absl::StatusOr<std::unique_ptr<GrpcSnapshotChannel>> Create(
      GrpcSnapshotChannelOptions options);
  // Detaches every session.
  ~GrpcSnapshotChannel() override;

  absl::Status Attach(const context::AttachRequest& request,
                      context::SnapshotReceiver* receiver) override;
  absl::Status Submit(context::SlowObservationPtr observation) override;
  absl::Status Reset(uint64_t session, uint32_t episode) override;
  void Detach(uint64_t session) override;
  context::Lane lane() const override { return options_.lane; }
  // `state`: up while any session's link is.
  context::LinkStats stats() const override;

 private:
  explicit GrpcSnapshotChannel(GrpcSnapshotChannelOptions options);

  std::shared_ptr<SessionLink> Find(uint64_t session) const;
  SessionLink::Environment LinkEnvironment();
  EndpointPtr ConnectTo(const std::string& address, const std::string& source);
  void OnResolved(const std::string& source, const std::vector<std::string>& addresses);

  const GrpcSnapshotChannelOptions options_;
  EndpointSet endpoints_;
  context::KvBufferPool pool_;
  LinkCounters counters_;
  mutable absl::Mutex mutex_;
  std::unordered_map<uint64_t, std::shared_ptr<SessionLink>> links_ ABSL_GUARDED_BY(mutex_);
  CompletionThread thread_;                        // its completions use everything above
  std::vector<std::unique_ptr<NameWatch>> names_;  // last: they post to the thread
};

}  // namespace automot::planning
