// gRPC's callback server: gRPC owns the threads, a reactor answers from any thread.
#include <grpcpp/server_builder.h>

#include "automot/v1/planning_service.grpc.pb.h"
#include "tests/benchmark/comparison/child_process.h"
#include "tests/benchmark/plan_rpc/plan_answer.h"

namespace automot::benchmarks {
namespace {

namespace v1 = automot::v1;

class PlanReactor final : public grpc::ServerUnaryReactor {
 public:
  void OnDone() override { delete this; }
};

class Service final : public v1::PlanningService::CallbackService {
 public:
  // NOLINTNEXTLINE(readability-identifier-naming): the generated name
  grpc::ServerUnaryReactor* Plan(grpc::CallbackServerContext*, const v1::PlanRequest* request,
                                 v1::PlanResponse* response) override {
    auto* reactor = new PlanReactor;  // deletes itself in OnDone
    const grpc::Status status = CheckRequest(*request);
    if (!status.ok()) {
      reactor->Finish(status);
      return reactor;
    }
    answering_.Post([reactor, request, response] {
      FillAnswer(*request, response);
      reactor->Finish(grpc::Status::OK);
    });
    return reactor;
  }

 private:
  AnsweringThread answering_;
};

}  // namespace

int ServeWithCallbacks() {
  Service service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  AnswerParent({{"port", port}}, [](const nlohmann::json&) { return nlohmann::json::object(); });
  server->Shutdown();
  return 0;
}

}  // namespace automot::benchmarks
