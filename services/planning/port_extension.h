// A further service on the planning port, wired in by whoever starts the server. The planning
// service knows nothing of what it is.
#pragma once

#include <grpcpp/impl/codegen/service_type.h>

#include "absl/time/time.h"

namespace automot::planning {

class PortExtension {
 public:
  virtual ~PortExtension() = default;

  // What is registered; lives as long as the extension.
  virtual grpc::Service* service() = 0;
  // Starts nothing new and waits until what runs has ended, `deadline` of wall time at most. Called
  // before the engine drains: plans are still answered meanwhile. Safe to call twice.
  virtual void Drain(absl::Duration deadline) = 0;
};

}  // namespace automot::planning
