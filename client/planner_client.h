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
// Messages are automot.v1's (proto/automot/v1): units, frames and limits stand on their fields.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

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

  // Plans one tick. The sequence is counted here. Errors: as PlanningService.Plan. A tick is
  // planned once at most: after UNAVAILABLE it is tried again under its own sequence, and where
  // that had been accepted before the connection broke the call ends as UNAVAILABLE. A tick that
  // was refused for load is tried again under the next sequence, because its observation was taken
  // in.
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
  // Lets another process take the session over.
  const std::string& resume_token() const { return opened_.resume_token(); }
  const std::string& model_revision() const { return opened_.model_revision(); }
  bool weights_trained() const { return opened_.weights_trained(); }
  uint32_t episode() const { return opened_.episode(); }

 private:
  friend class PlannerClient;
  struct Shared;
  PlannerSession(std::shared_ptr<Shared> shared, std::string name,
                 automot::v1::OpenSessionResponse opened);
  // A request of this writer.
  template <typename Request>
  Request Written() const;

  std::shared_ptr<Shared> shared_;
  std::string name_;
  automot::v1::OpenSessionResponse opened_;
  uint64_t sequence_ = 0;
  bool closed_ = false;
};

// Thread-safe. Sessions may outlive it.
class PlannerClient {
 public:
  struct Options {
    std::string address = "127.0.0.1:50051";
    rpc::ChannelTlsOptions tls;                          // empty: plain text
    absl::Duration connect_timeout = absl::Seconds(30);  // until the service says that it is ready
    absl::Duration call_timeout = absl::Seconds(5);      // sessions and status
    absl::Duration plan_timeout = absl::Milliseconds(500);  // Plan; reaches the server's queue
    RetryPolicy retry;
  };

  // DEADLINE_EXCEEDED where the service is not ready within connect_timeout; INVALID_ARGUMENT names
  // the option; PERMISSION_DENIED where the service's allow-list does not know the client.
  static absl::StatusOr<std::unique_ptr<PlannerClient>> Connect(const Options& options);

  // Opens a session, or takes one over with `resume_token`. UNAVAILABLE where the connection broke
  // after the service had opened it: the name is then taken until its lease ends.
  absl::StatusOr<std::unique_ptr<PlannerSession>> OpenSession(
      const std::string& name, const automot::v1::SessionOptions& options,
      const std::string& resume_token = "");

  absl::StatusOr<automot::v1::GetPlanningStatusResponse> GetStatus();

 private:
  explicit PlannerClient(std::shared_ptr<PlannerSession::Shared> shared)
      : shared_(std::move(shared)) {}
  absl::Status WaitUntilReady();

  std::shared_ptr<PlannerSession::Shared> shared_;
};

}  // namespace automot::client
