// Who is at the other end of a call, as quotas and fairness count it.
#pragma once

#include <grpcpp/server_context.h>

#include <string>
#include <string_view>

namespace automot::rpc {

// - "name:NAME": the first name of the certificate that the client proved (subject alternative
//   name, else common name).
// - "host:ADDRESS": without a certificate, where the connection comes from, ports apart; of IPv6
// the
//   first 64 bits, as one machine has all that lie behind them.
// - "unix": Unix sockets, all users together, as gRPC does not tell their ids.
// - "unknown": anything else.
// Clients behind one proxy or address translation are one client unless they show certificates.
std::string ClientIdentityOf(const grpc::ServerContextBase& call);

// Of a peer without a certificate, in gRPC's spelling: "ipv4:192.0.2.7:40112".
std::string ClientIdentityOfPeer(std::string_view peer);

}  // namespace automot::rpc
