// Transport security. Loopback needs none; any other address needs TLS or an explicit --insecure.
#pragma once

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_context.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace automot::rpc {

struct TlsOptions {
  std::string certificate_file;  // PEM chain; empty: no TLS
  std::string key_file;          // PEM key
  std::string client_ca_file;  // PEM; non-empty: clients must present a certificate that it signed
  std::vector<std::string>
      allowed_clients;  // with client_ca_file: names (subject CN or SAN) let in; empty lets all in
  bool insecure = false;  // allow plain text beyond loopback
};

// INVALID_ARGUMENT where `address` would be open beyond loopback without TLS, or a file cannot be
// read.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerCredentialsFor(
    const std::string& address, const TlsOptions& options);

struct ChannelTlsOptions {
  std::string ca_file;           // PEM; empty: plain text
  std::string certificate_file;  // client certificate, optional
  std::string key_file;
};
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ChannelCredentialsFor(
    const ChannelTlsOptions& options);

// Who may call which method when clients present certificates. Thread-safe after construction.
class ClientAllowList {
 public:
  explicit ClientAllowList(const TlsOptions& options);

  // PERMISSION_DENIED naming the method and the peer where no identity of the peer is allowed.
  absl::Status Check(const grpc::ServerContextBase& context, const std::string& method) const;

 private:
  bool enforced_;
  std::set<std::string> allowed_;  // any method
  std::set<std::pair<std::string, std::string>>
      allowed_for_method_;  // (method, name): entries "Method=name"
};

}  // namespace automot::rpc
