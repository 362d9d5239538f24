// gRPC's completion-queue server: a queue and a thread of ours each, calls asked for ahead.
#include <grpcpp/server_builder.h>

#include <memory>
#include <vector>

#include "automot/v1/planning_service.grpc.pb.h"
#include "tests/benchmark/comparison/child_process.h"
#include "tests/benchmark/plan_rpc/plan_answer.h"

namespace automot::benchmarks {
namespace {

namespace v1 = automot::v1;
using Service = v1::PlanningService::WithAsyncMethod_Plan<v1::PlanningService::Service>;

constexpr int kCallsAhead = 16;  // of each queue: more than the benchmark's clients

// One call at a time; asks for the next when it has ended.
class QueuedCall {
 public:
  QueuedCall(Service* service, grpc::ServerCompletionQueue* queue, AnsweringThread* answering)
      : service_(service), queue_(queue), answering_(answering) {
    Ask();
  }

  // Its tag came out of the queue.
  void Proceed(bool ok) {
    if (finishing_) return Ask();
    if (!ok) return;  // the server ends
    finishing_ = true;
    const grpc::Status status = CheckRequest(call_->request);
    if (!status.ok()) return call_->writer.FinishWithError(status, this);
    answering_->Post([this] {
      FillAnswer(call_->request, &call_->response);
      call_->writer.Finish(call_->response, grpc::Status::OK, this);
    });
  }

 private:
  struct Call {
    grpc::ServerContext context;
    v1::PlanRequest request;
    v1::PlanResponse response;
    grpc::ServerAsyncResponseWriter<v1::PlanResponse> writer{&context};
  };

  void Ask() {
    finishing_ = false;
    call_ = std::make_unique<Call>();
    service_->RequestPlan(&call_->context, &call_->request, &call_->writer, queue_, queue_, this);
  }

  Service* const service_;
  grpc::ServerCompletionQueue* const queue_;
  AnsweringThread* const answering_;
  std::unique_ptr<Call> call_;
  bool finishing_ = false;
};

void Drive(grpc::ServerCompletionQueue* queue) {
  void* tag = nullptr;
  bool ok = false;
  while (queue->Next(&tag, &ok)) static_cast<QueuedCall*>(tag)->Proceed(ok);
}

}  // namespace

int ServeWithQueues(int threads) {
  Service service;
  AnsweringThread answering;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  std::vector<std::unique_ptr<grpc::ServerCompletionQueue>> queues;
  for (int i = 0; i < threads; ++i) queues.push_back(builder.AddCompletionQueue());
  const auto server = builder.BuildAndStart();
  std::vector<std::unique_ptr<QueuedCall>> calls;
  std::vector<std::thread> pollers;
  for (const auto& queue : queues) {
    for (int i = 0; i < kCallsAhead; ++i) {
      calls.push_back(std::make_unique<QueuedCall>(&service, queue.get(), &answering));
    }
    pollers.emplace_back(Drive, queue.get());
  }
  AnswerParent({{"port", port}}, [](const nlohmann::json&) { return nlohmann::json::object(); });
  server->Shutdown();
  for (const auto& queue : queues) queue->Shutdown();
  for (std::thread& poller : pollers) poller.join();
  return 0;
}

}  // namespace automot::benchmarks
