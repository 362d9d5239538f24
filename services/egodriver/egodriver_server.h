// egodriver.EgodriverService for the planning port.
#pragma once

#include <memory>
#include <string>

#include "services/egodriver/handlers/egodriver_context.h"
#include "services/planning/port_extension.h"

namespace automot::egodriver {

class EgodriverServer final : public planning::PortExtension {
 public:
  // What `context` points to must outlive the server.
  explicit EgodriverServer(const EgodriverContext& context);
  ~EgodriverServer() override;

  grpc::Service* service() override;
  void Drain(absl::Duration deadline) override { context_.engine->Drain(deadline); }

 private:
  class Service;
  const EgodriverContext context_;
  std::unique_ptr<Service> service_;
};

}  // namespace automot::egodriver
