// The planning service on the wire: gRPC server with health and reflection, drain on request.
#pragma once

#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/rpc/connection_gate.h"
#include "common/rpc/credentials.h"
#include "common/rpc/server_limits.h"
#include "services/planning/handlers/planning_context.h"
#include "services/planning/port_extension.h"

namespace automot::planning {

struct PlanningServerOptions {
  std::string address = "127.0.0.1:50051";  // port 0 picks one
  rpc::TlsOptions tls;
  rpc::ServerLimits limits;
  absl::Duration drain_deadline = absl::Seconds(20);
};

// Health: service "" and "automot.v1.PlanningService" serve while plans are accepted; "live" serves
// while the process does.
class PlanningServer {
 public:
  // Listens when it returns. `context` and `extension` (null: none) must outlive the server.
  // INVALID_ARGUMENT: address or TLS files; UNAVAILABLE: the port is taken.
  static absl::StatusOr<std::unique_ptr<PlanningServer>> Start(const PlanningServerOptions& options,
                                                               const PlanningContext& context,
                                                               PortExtension* extension = nullptr);
  ~PlanningServer();

  // The address that clients use, with the port picked.
  const std::string& address() const { return address_; }

  // Says not-ready, ends what the extension runs and then accepted plans, both within the drain
  // deadline, then closes. Safe to call twice.
  void Drain();

 private:
  class Service;
  PlanningServer(const PlanningServerOptions& options, const PlanningContext& context,
                 PortExtension* extension);

  const PlanningServerOptions options_;
  const PlanningContext& context_;
  PortExtension* const extension_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<rpc::ConnectionGate> gate_;
  std::string address_;
};

}  // namespace automot::planning
