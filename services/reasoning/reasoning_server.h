// The reasoning service on the wire: gRPC server with health and reflection, drain on request.
#pragma once

#include <grpcpp/server.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/conversion/observation.h"
#include "common/rpc/connection_gate.h"
#include "common/rpc/credentials.h"
#include "common/rpc/server_limits.h"
#include "common/shared_memory/region_server.h"
#include "services/reasoning/chaos_stream.h"
#include "services/reasoning/handlers/reasoning_context.h"
#include "services/reasoning/reasoning_engine.h"

namespace automot::reasoning {

struct ReasoningServerOptions {
  std::string address = "127.0.0.1:50052";  // port 0 picks one
  rpc::TlsOptions tls;
  // Subscribers ping to notice a frozen peer; pings answer whether a silent subscriber is still
  // there. Two frames of 64 MiB fit a request.
  rpc::ServerLimits connections = {.max_message_bytes = 128 << 20,
                                   .ping_after = absl::Seconds(10),
                                   .ping_timeout = absl::Seconds(5),
                                   .pings_apart = absl::Milliseconds(500),
                                   .ping_strikes = 0};
  conversion::ObservationLimits limits;
  std::size_t chunk_bytes = context::kDefaultChunkBytes;  // at most 4 MiB, the contract's limit
  LayerStreaming::Setting layer_streaming = LayerStreaming::Setting::kAuto;
  absl::Duration drain_deadline = absl::Seconds(20);
  // The shared-memory lane; without a path there is none. The engine's pool must then lend regions.
  shared_memory::RegionServerOptions shared_memory;
  // Damages, delays and ends streams on purpose. Not beside the shared-memory lane.
  std::optional<uint64_t> chaos_seed;
  ChaosSource::Report on_chaos;
};

// Health: service "" and "automot.v1.ReasoningService" serve once the expert is warm and until the
// drain; "live" serves while the process does.
class ReasoningServer {
 public:
  // Listens when it returns. `engine` must outlive the server. INVALID_ARGUMENT: address or TLS
  // files; UNAVAILABLE: the port is taken; the errors of RegionServer::Start.
  static absl::StatusOr<std::unique_ptr<ReasoningServer>> Start(
      const ReasoningServerOptions& options, ReasoningEngine* engine);
  ~ReasoningServer();

  // The address that clients use, with the port picked.
  const std::string& address() const { return address_; }

  // Says not-ready, announces the end to every subscriber and gives them `drain_deadline` to leave,
  // then stops the engine and closes. Safe to call twice.
  void Drain();
  // Like Drain without the patience.
  void Stop();

 private:
  class Service;
  class Health;
  ReasoningServer(const ReasoningServerOptions& options, ReasoningEngine* engine);
  absl::Status Listen();

  const ReasoningServerOptions options_;
  ReasoningEngine* const engine_;
  const rpc::ClientAllowList allow_list_;
  std::unique_ptr<shared_memory::RegionServer> regions_;
  std::optional<ChaosSource> chaos_;
  LiveStreams streams_;
  ReasoningContext context_;
  std::shared_ptr<Health> health_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<rpc::ConnectionGate> gate_;
  std::string address_;
};

}  // namespace automot::reasoning
