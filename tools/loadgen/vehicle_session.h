// One vehicle's session and connection as a load test needs them: no retry, each failure is seen,
// and connection, session and episode can be broken on purpose. client/planner_client.h is what a
// vehicle uses; it would hide what is counted here. Not thread-safe.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/security/credentials.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "automot/v1/planning_service.grpc.pb.h"

namespace automot::loadgen {

struct TargetOptions {
  std::vector<std::string> addresses;  // replicas; a session has one by rendezvous
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  absl::Duration call_timeout = absl::Seconds(5);
};

class VehicleSession {
 public:
  // `target` outlives the session.
  VehicleSession(const TargetOptions* target, std::string name,
                 const automot::v1::SessionOptions& options);
  ~VehicleSession();

  // Makes sure that the session is open, on a connection of its own: takes it over where it was
  // open before, opens it anew where the server does not know it. `*fresh` is set where it is a new
  // session, of which no context can be there.
  absl::Status EnsureOpen(bool* fresh);
  bool open() const { return open_; }

  absl::Status Reset();
  absl::Status Close();
  // Lets go of the connection without a word; the session lives on at the server.
  void Disconnect();
  // After a failed call: what it says about session and connection.
  void Notice(grpc::StatusCode code);

  automot::v1::PlanningService::Stub* stub() const { return stub_.get(); }
  const std::string& name() const { return name_; }
  uint64_t lease() const { return opened_.lease(); }
  uint32_t episode() const { return opened_.episode(); }
  const std::string& model_revision() const { return opened_.model_revision(); }
  uint64_t NextSequence() { return ++sequence_; }

 private:
  void Connect();
  absl::Status Open(const std::string& token);

  const TargetOptions* const target_;
  const std::string name_;
  const automot::v1::SessionOptions options_;
  std::vector<std::size_t> order_;  // of the replicas: the session's preference
  std::size_t replica_ = 0;         // index into order_
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<automot::v1::PlanningService::Stub> stub_;
  automot::v1::OpenSessionResponse opened_;
  std::string token_;
  bool open_ = false;
  uint64_t sequence_ = 0;
};

// Waits until the server at `address` says that it is ready, and says what it is.
absl::StatusOr<automot::v1::GetPlanningStatusResponse> AwaitServer(const TargetOptions& target,
                                                                   const std::string& address,
                                                                   absl::Duration patience);

}  // namespace automot::loadgen
