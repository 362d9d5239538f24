#include "common/rpc/credentials.h"

#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/rpc/address.h"
#include "common/status/status_macros.h"

namespace automot::rpc {
namespace {

absl::StatusOr<std::string> ReadFile(const std::string& flag, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) {
    return absl::InvalidArgumentError(absl::StrCat(flag, ": cannot read '", path, "'"));
  }
  return text.str();
}

// What is asked for and could not be given must not pass for less.
absl::Status CheckTogether(const TlsOptions& options) {
  if (options.certificate_file.empty() && !options.key_file.empty()) {
    return absl::InvalidArgumentError("--tls-key needs --tls-cert");
  }
  if (options.certificate_file.empty() && !options.client_ca_file.empty()) {
    return absl::InvalidArgumentError("--tls-client-ca needs --tls-cert and --tls-key");
  }
  if (options.client_ca_file.empty() && !options.allowed_clients.empty()) {
    return absl::InvalidArgumentError("--tls-allowed-client needs --tls-client-ca");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerCredentialsFor(
    const std::string& address, const TlsOptions& options) {
  AUTOMOT_RETURN_IF_ERROR(CheckTogether(options));
  if (options.certificate_file.empty()) {
    if (!IsLoopback(address) && !options.insecure) {
      return absl::InvalidArgumentError(absl::StrCat(
          "address '", address,
          "' is reachable beyond loopback: give --tls-cert and --tls-key, or --insecure"));
    }
    return grpc::InsecureServerCredentials();
  }
  grpc::SslServerCredentialsOptions ssl(
      options.client_ca_file.empty() ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                                     : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  auto certificate = ReadFile("--tls-cert", options.certificate_file);
  if (!certificate.ok()) return certificate.status();
  auto key = ReadFile("--tls-key", options.key_file);
  if (!key.ok()) return key.status();
  ssl.pem_key_cert_pairs.push_back({*std::move(key), *std::move(certificate)});
  if (!options.client_ca_file.empty()) {
    auto ca = ReadFile("--tls-client-ca", options.client_ca_file);
    if (!ca.ok()) return ca.status();
    ssl.pem_root_certs = *std::move(ca);
  }
  return grpc::SslServerCredentials(ssl);
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ChannelCredentialsFor(
    const ChannelTlsOptions& options) {
  if (options.ca_file.empty()) {
    if (options.certificate_file.empty() && options.key_file.empty()) {
      return grpc::InsecureChannelCredentials();
    }
    return absl::InvalidArgumentError("a client certificate needs the CA file of the service");
  }
  grpc::SslCredentialsOptions ssl;
  auto ca = ReadFile("CA file", options.ca_file);
  if (!ca.ok()) return ca.status();
  ssl.pem_root_certs = *std::move(ca);
  if (!options.certificate_file.empty()) {
    auto certificate = ReadFile("client certificate", options.certificate_file);
    if (!certificate.ok()) return certificate.status();
    auto key = ReadFile("client key", options.key_file);
    if (!key.ok()) return key.status();
    ssl.pem_cert_chain = *std::move(certificate);
    ssl.pem_private_key = *std::move(key);
  }
  return grpc::SslCredentials(ssl);
}

ClientAllowList::ClientAllowList(const TlsOptions& options)
    : enforced_(!options.client_ca_file.empty() && !options.allowed_clients.empty()) {
  for (const std::string& entry : options.allowed_clients) {
    const size_t equals = entry.find('=');
    if (equals == std::string::npos) {
      allowed_.insert(entry);
    } else {
      allowed_for_method_.emplace(entry.substr(0, equals), entry.substr(equals + 1));
    }
  }
}

absl::Status ClientAllowList::Check(const grpc::ServerContextBase& context,
                                    const std::string& method) const {
  if (!enforced_) return absl::OkStatus();
  std::string seen;
  for (const grpc::string_ref& identity : context.auth_context()->GetPeerIdentity()) {
    std::string name(identity.data(), identity.size());
    if (allowed_.count(name) > 0 || allowed_for_method_.count({method, name}) > 0) {
      return absl::OkStatus();
    }
    absl::StrAppend(&seen, seen.empty() ? "" : ", ", name);
  }
  return absl::PermissionDeniedError(
      absl::StrCat("client '", seen, "' is not on the allow-list of ", method));
}

}  // namespace automot::rpc
