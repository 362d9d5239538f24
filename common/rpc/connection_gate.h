// Accepts a server's connections, up to a limit, and hands them to gRPC. gRPC of this version has
// no limit of its own, and stops accepting for good once the process has no descriptor left.
//
// Threads: one of its own, "accept". The rest is for the thread that starts and stops the server.
#pragma once

#include <grpcpp/server_builder.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "common/rpc/connection_table.h"
#include "common/rpc/listening_sockets.h"
#include "common/rpc/server_limits.h"

namespace automot::rpc {

class ConnectionGate {
 public:
  // Listens, and makes `builder`'s server take what is accepted, under `credentials`. `limits` are
  // of connections are lowered to what the process may open, less what it needs itself; a peer that
  // does not take what it is sent for `limits.ping_timeout` is given up. `on_refused` is called on
  // the accepting thread, once per connection that is closed at a limit. UNAVAILABLE naming
  // `address`.
  static absl::StatusOr<std::unique_ptr<ConnectionGate>> Open(
      const std::string& address, std::shared_ptr<grpc::ServerCredentials> credentials,
      const ServerLimits& limits, grpc::ServerBuilder* builder,
      std::function<void()> on_refused = nullptr);
  ~ConnectionGate();

  // Once the server is built. Connections made before it wait.
  void Start();
  // Listens no longer; connections that there are stay. Before the server shuts down. Safe to call
  // twice.
  void Stop();

  // The address that clients use, with the port picked.
  const std::string& address() const { return address_; }

 private:
  ConnectionGate(ListeningSockets sockets, const ServerLimits& limits);
  void AcceptThread();
  // False where none waits.
  bool AcceptOne(int listener);
  void Pause() const;  // shorter where the gate is stopped

  MonotonicClock clock_;
  std::unique_ptr<ListeningSockets> sockets_;
  ConnectionTable table_;  // accepting thread
  const unsigned unacknowledged_ms_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::function<void()> on_refused_;
  std::string address_;
  int stop_ = -1;  // eventfd
  std::thread thread_;
};

}  // namespace automot::rpc
