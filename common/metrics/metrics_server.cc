#include "common/metrics/metrics_server.h"

#include <arpa/inet.h>
#include <prometheus/exposer.h>

#include <exception>
#include <string_view>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace automot::metrics {
namespace {

struct Endpoint {
  std::string host;  // an address, in brackets where it is IPv6
  int port = 0;
  bool loopback = false;
};

// Numbers only: the HTTP library resolves no names, and a list of addresses must not slip through.
absl::StatusOr<Endpoint> ParseEndpoint(const std::string& address) {
  const auto malformed = [&] {
    return absl::InvalidArgumentError(
        absl::StrCat("metrics_address is '", address,
                     "'; expected host:port with localhost, an IPv4 address or an [IPv6] address, "
                     "and a port of 0 to 65535"));
  };
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) return malformed();
  Endpoint endpoint;
  endpoint.host = address.substr(0, colon);
  if (!absl::SimpleAtoi(address.substr(colon + 1), &endpoint.port) || endpoint.port < 0 ||
      endpoint.port > 65535) {
    return malformed();
  }
  if (endpoint.host == "localhost") endpoint.host = "127.0.0.1";
  in_addr v4{};
  in6_addr v6{};
  if (inet_pton(AF_INET, endpoint.host.c_str(), &v4) == 1) {
    endpoint.loopback = (ntohl(v4.s_addr) >> 24) == 127;
    return endpoint;
  }
  const size_t size = endpoint.host.size();
  if (size > 2 && endpoint.host.front() == '[' && endpoint.host.back() == ']' &&
      inet_pton(AF_INET6, endpoint.host.substr(1, size - 2).c_str(), &v6) == 1) {
    endpoint.loopback = IN6_IS_ADDR_LOOPBACK(&v6);
    return endpoint;
  }
  return malformed();
}

// The exposer wants to share ownership of what it scrapes; the registry belongs to the process.
class Borrowed final : public prometheus::Collectable {
 public:
  explicit Borrowed(const Registry* registry) : registry_(registry) {}
  std::vector<prometheus::MetricFamily> Collect() const override { return registry_->Collect(); }

 private:
  const Registry* const registry_;
};

}  // namespace

MetricsServer::~MetricsServer() = default;

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(
    const MetricsServerOptions& options, const Registry* registry) {
  std::unique_ptr<MetricsServer> server(new MetricsServer());
  if (options.address.empty()) return server;
  AUTOMOT_ASSIGN_OR_RETURN(const Endpoint endpoint, ParseEndpoint(options.address));
  if (!endpoint.loopback && !options.insecure) {
    return absl::InvalidArgumentError(
        absl::StrCat("metrics_address is '", options.address,
                     "', which is open beyond loopback: scrapes are plain text, so this needs "
                     "--insecure"));
  }
  server->source_ = std::make_shared<Borrowed>(registry);
  // The library reports every failure by throwing.
  try {
    server->exposer_ = std::make_unique<prometheus::Exposer>(
        absl::StrCat(endpoint.host, ":", endpoint.port), /*num_threads=*/2);
    server->exposer_->RegisterCollectable(server->source_);
  } catch (const std::exception& error) {
    return absl::UnavailableError(absl::StrCat("metrics_address is '", options.address,
                                               "', which cannot be listened on: ", error.what()));
  }
  const std::vector<int> ports = server->exposer_->GetListeningPorts();
  if (ports.size() != 1) {
    return absl::UnavailableError(absl::StrCat("metrics_address is '", options.address,
                                               "'; listening on ", ports.size(), " ports"));
  }
  server->address_ = absl::StrCat(endpoint.host, ":", ports.front());
  return server;
}

}  // namespace automot::metrics
