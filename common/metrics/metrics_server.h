// Serves a registry over HTTP at /metrics, for Prometheus to scrape.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/metrics/registry.h"

namespace prometheus {
class Exposer;
}

namespace automot::metrics {

struct MetricsServerOptions {
  // host:port with localhost, an IPv4 address or an [IPv6] address; port 0 picks one. Empty: none
  // is served.
  std::string address = "127.0.0.1:9464";
  bool insecure = false;  // allow addresses beyond loopback: scrapes are plain text
};

// Owns its threads, which run until it dies. Not thread-safe; scrapes come on its own threads.
class MetricsServer {
 public:
  // `registry` must outlive the server. INVALID_ARGUMENT: the address is malformed, or open beyond
  // loopback without `insecure`. UNAVAILABLE: it cannot be listened on.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Start(const MetricsServerOptions& options,
                                                              const Registry* registry);
  ~MetricsServer();

  // host:port that is listened on; empty where none is.
  const std::string& address() const { return address_; }

 private:
  MetricsServer() = default;

  std::shared_ptr<prometheus::Collectable> source_;
  std::unique_ptr<prometheus::Exposer> exposer_;
  std::string address_;
};

}  // namespace automot::metrics
