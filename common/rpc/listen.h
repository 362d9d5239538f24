// Starts a gRPC server on an address of the flags. A Unix socket belongs to its owner alone.
#pragma once

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/rpc/connection_gate.h"
#include "common/rpc/server_limits.h"

namespace automot::rpc {

struct Listening {
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<ConnectionGate> gate;  // null for Unix sockets; goes, or stops, before the server
  std::string address;                   // with the port that was picked where the flag says 0
};

// Adds `address` to the builder and starts it. UNAVAILABLE where nothing can listen there.
// A Unix socket gets mode 0600: who may connect is who may act as the user. A socket file that
// nobody listens on any more is replaced; one that somebody listens on, and any other file, is left
// and refused. The file goes when the server does. Call it while starting up: it sets the process's
// umask for a moment. `limits` hold for all connections, their number for those over TCP;
// `on_refused` is told of each that is closed because there are as many.
absl::StatusOr<Listening> Listen(const std::string& address,
                                 const std::shared_ptr<grpc::ServerCredentials>& credentials,
                                 grpc::ServerBuilder* builder, const ServerLimits& limits = {},
                                 std::function<void()> on_refused = nullptr);

}  // namespace automot::rpc
