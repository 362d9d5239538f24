// automot-health-probe: asks a service for its health; exit status 0 when it serves. For container
// health checks and scripts.
#include <grpcpp/create_channel.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <string>

#include "health.grpc.pb.h"

int main(int argc, char** argv) {
  std::string address = "127.0.0.1:50051", service;
  double timeout_s = 2.0;
  CLI::App app("Asks a gRPC service for its health; exit status 0: serving, 1: not.");
  app.add_option("--address", address, "host:port or unix:PATH")->capture_default_str();
  app.add_option("--service", service,
                 "health service name: empty or 'live' (see docs/operations.md)");
  app.add_option("--timeout_s", timeout_s, "seconds to wait")
      ->capture_default_str()
      ->check(CLI::Range(0.01, 600.0));
  CLI11_PARSE(app, argc, argv);

  auto stub = grpc::health::v1::Health::NewStub(
      grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::microseconds(static_cast<int64_t>(timeout_s * 1e6)));
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(service);
  grpc::health::v1::HealthCheckResponse response;
  const grpc::Status status = stub->Check(&context, request, &response);
  if (!status.ok()) {
    std::fprintf(stderr, "%s: %s\n", address.c_str(), status.error_message().c_str());
    return 1;
  }
  std::puts(grpc::health::v1::HealthCheckResponse::ServingStatus_Name(response.status()).c_str());
  return response.status() == grpc::health::v1::HealthCheckResponse::SERVING ? 0 : 1;
}
