// C++ client of the planning service. A vehicle needs only the planning address (design 2).
//
//   PlannerClient::Options options;
//   options.address = "127.0.0.1:50051";
//
//   auto client = PlannerClient::Connect(options);  // waits until the service is ready
//
//   auto session = (*client)->OpenSession("car-1", session_options);
//
//   auto answer = (*session)->Plan(observation);  // a trajectory, ego frame of the observation
//
// Several replicas (Options::addresses): each session goes to its own first choice by rendezvous on
// its name. Where that drains or has died, the session's calls go on at the next, which adopts the
// session by its resume token (--session-key-file); a replica that has lost it adopts it again.
// Attempts and delays are those of Options::retry, within the call's own deadline.
//
// Messages are automot.v1's (proto/automot/v1): units, frames and limits stand on their fields.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "automot/v1/planning_service.grpc.pb.h"
#include "client/retry_policy.h"
#include "common/rpc/credentials.h"

namespace automot::client {

// One vehicle's writer. Not thread-safe: a vehicle plans one tick at a time. Closes its session
// when it dies.
class PlannerSession {
 public:
  ~PlannerSession();
  PlannerSession(const PlannerSession&) = delete;
  PlannerSession& operator=(const PlannerSession&) = delete;

  struct PlanOptions {
    absl::Duration timeout;              // zero: the client's plan_timeout
    automot::v1::ContextChoice context;  // default: latest
    automot::v1::OnExpired on_expired =
        automot::v1::ON_EXPIRED_UNSPECIFIED;  // default: the session's
  };

  // Plans one tick. The sequence is counted here. `observation` is borrowed, not copied: leave it
  // alone until the answer is there. Errors: as PlanningService.Plan. A tick is
  // planned once at most: after UNAVAILABLE it is tried again under its own sequence, and where
  // that had been accepted before the connection broke the call ends as UNAVAILABLE. A tick that
  // was refused for load is tried again under the next sequence, because its observation was taken
  // in. With several replicas a tick whose answer was lost is planned again at the next one.
  absl::StatusOr<automot::v1::PlanResponse> Plan(const automot::v1::Observation& observation,
                                                 const PlanOptions& options);
  absl::StatusOr<automot::v1::PlanResponse> Plan(const automot::v1::Observation& observation) {
    return Plan(observation, PlanOptions());
  }

  // Starts a new episode: the world was reset or the vehicle teleported.
  absl::Status Reset();
  absl::Status KeepAlive();
  absl::Status Close();
  absl::StatusOr<automot::v1::GetSessionStatusResponse> GetStatus();
  // Leases the newest visible context for `ttl` of session time, so that `context.exactly` finds
  // it.
  absl::StatusOr<automot::v1::PinContextResponse> PinContext(absl::Duration ttl);
  absl::Status ReleaseContext(uint64_t context_lease);

  const std::string& name() const { return name_; }
  // Lets another process take the session over. Reset gives a new one, which stands for the
  // episode.
  const std::string& resume_token() const { return opened_.resume_token(); }
  const std::string& model_revision() const { return opened_.model_revision(); }
  bool weights_trained() const { return opened_.weights_trained(); }
  // As the replica that serves the session now counts it.
  uint32_t episode() const { return opened_.episode(); }
  // Of the replica that serves the session now.
  const std::string& address() const;

 private:
  friend class PlannerClient;
  struct Shared;
  using Attempt = std::function<grpc::Status(grpc::ClientContext*)>;

  PlannerSession(std::shared_ptr<Shared> shared, std::string name,
                 const automot::v1::SessionOptions& options);
  // Opens the session, or takes it over with `resume_token`.
  absl::Status Open(const std::string& resume_token);
  automot::v1::PlanningService::Stub& stub() const;
  // Calls `attempt` by the retry policy; between attempts the session follows its replicas.
  absl::Status Call(absl::Duration timeout, const Attempt& attempt);
  template <typename Request, typename Response>
  absl::Status CallWritten(grpc::Status (automot::v1::PlanningService::Stub::*method)(
                               grpc::ClientContext*, const Request&, Response*),
                           Request request, Response* response);
  bool MustFollow(const grpc::Status& status);
  grpc::Status Follow(const grpc::ClientContext& call);
  // A request of this writer.
  template <typename Request>
  Request Written() const;

  std::shared_ptr<Shared> shared_;
  std::string name_;
  automot::v1::SessionOptions options_;
  std::vector<std::size_t> order_;  // of the replicas, first choice first
  std::size_t place_ = 0;           // in it
  bool adrift_ = false;             // the replica at place_ has to adopt the session first
  automot::v1::OpenSessionResponse opened_;
  uint64_t sequence_ = 0;
  bool closed_ = false;
};

// Thread-safe. Sessions may outlive it.
class PlannerClient {
 public:
  struct Options {
    std::string address = "127.0.0.1:50051";
    std::vector<std::string> addresses;  // of several replicas; in place of `address`
    rpc::ChannelTlsOptions tls;          // empty: plain text
    absl::Duration connect_timeout = absl::Seconds(30);  // until the service says that it is ready
    absl::Duration call_timeout = absl::Seconds(5);      // sessions and status
    absl::Duration plan_timeout = absl::Milliseconds(500);  // Plan; reaches the server's queue
    RetryPolicy retry;
  };

  // Waits for the service, or for any of its replicas. DEADLINE_EXCEEDED where none is ready within
  // connect_timeout; INVALID_ARGUMENT names
  // the option; PERMISSION_DENIED where the service's allow-list does not know the client.
  static absl::StatusOr<std::unique_ptr<PlannerClient>> Connect(const Options& options);

  // Opens a session, or takes one over with `resume_token`. UNAVAILABLE where the connection broke
  // after the service had opened it: the name is then taken until its lease ends.
  absl::StatusOr<std::unique_ptr<PlannerSession>> OpenSession(
      const std::string& name, const automot::v1::SessionOptions& options,
      const std::string& resume_token = "");

  // Of a replica that answers.
  absl::StatusOr<automot::v1::GetPlanningStatusResponse> GetStatus();

 private:
  explicit PlannerClient(std::shared_ptr<PlannerSession::Shared> shared)
      : shared_(std::move(shared)) {}
  absl::Status WaitUntilReady();
  absl::Status AskAny(absl::Duration timeout, automot::v1::GetPlanningStatusResponse* response);

  std::shared_ptr<PlannerSession::Shared> shared_;
  std::atomic<std::size_t> next_{0};  // whose turn it is to be asked
};

}  // namespace automot::client
