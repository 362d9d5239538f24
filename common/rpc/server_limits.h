// What bounds the connections of a gRPC server, the same for every service. docs/security.md says
// what each bound is for, and what gRPC of this version does not bound.
#pragma once

#include <grpcpp/server_builder.h>

#include "absl/time/time.h"
#include "common/rpc/connection_table.h"

namespace automot::rpc {

struct ServerLimits {
  ConnectionLimits connections;  // held by ConnectionGate
  // Largest request. A connection that announces a larger one gets RESOURCE_EXHAUSTED unread.
  int max_message_bytes = 80 << 20;
  // Calls at once on one connection; a client's library lets further ones wait.
  int streams_per_connection = 1024;
  // Of all connections: what is read of messages not yet complete. Beyond it gRPC ends calls, of
  // whatever connection, until it fits again.
  std::size_t transport_memory_bytes = std::size_t{1} << 30;
  // A connection that has not said what it speaks by then is closed.
  absl::Duration handshake_limit = absl::Seconds(10);
  // A connection without a call is closed, politely; its client's library makes a new one.
  absl::Duration idle_limit = absl::Minutes(10);
  // A peer that is silent for `ping_after` is asked; without an answer in time its calls end.
  absl::Duration ping_after = absl::Seconds(30);
  absl::Duration ping_timeout = absl::Seconds(20);
  // A peer without data to send may ask as often; this many times too often ends the connection.
  absl::Duration pings_apart = absl::Seconds(5);
  int ping_strikes = 2;  // 0: any number
};

// Before the server is built.
void ApplyLimits(const ServerLimits& limits, grpc::ServerBuilder* builder);

// Lets this process open as many files as the system lets it: a connection is one. Once, at start.
void RaiseFileLimit();

}  // namespace automot::rpc
