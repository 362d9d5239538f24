#include "services/reasoning/reasoning_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "automot/v1/reasoning_service.grpc.pb.h"
#include "common/rpc/address.h"
#include "common/rpc/call_admission.h"
#include "common/rpc/listen.h"
#include "common/rpc/snapshot_transport.h"
#include "common/rpc/status_conversion.h"
#include "common/status/status_macros.h"
#include "services/reasoning/handlers/ask_handler.h"
#include "services/reasoning/handlers/get_reasoning_status_handler.h"
#include "services/reasoning/handlers/submit_observation_handler.h"
#include "services/reasoning/handlers/subscribe_contexts_handler.h"

namespace automot::reasoning {
namespace {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

constexpr char kServiceName[] = "automot.v1.ReasoningService";
constexpr std::size_t kMaxChunkOnTheWire = std::size_t{4} << 20;  // context_snapshot.proto
constexpr absl::Duration kForcedClose = absl::Seconds(1);
constexpr absl::Duration kQueueRetry = absl::Milliseconds(20);  // of a lossless session

template <typename Message>
class RefusedStream final : public grpc::ServerWriteReactor<Message> {
 public:
  explicit RefusedStream(const absl::Status& status) { this->Finish(rpc::ToGrpcStatus(status)); }
  void OnDone() override { delete this; }
};

// Snapshots leave as serialised bytes, everything else as messages.
using ServiceBase = v1::ReasoningService::WithCallbackMethod_SubmitObservation<
    v1::ReasoningService::WithRawCallbackMethod_SubscribeContexts<
        v1::ReasoningService::WithCallbackMethod_Ask<
            v1::ReasoningService::WithCallbackMethod_GetReasoningStatus<
                v1::ReasoningService::Service>>>>;

}  // namespace

// Only routes: each method names its handler.
class ReasoningServer::Service final : public ServiceBase {
 public:
  explicit Service(const ReasoningContext& context) : context_(context) {}

  ServerUnaryReactor* SubmitObservation(CallbackServerContext* call,
                                        const v1::SubmitObservationRequest* request,
                                        v1::SubmitObservationResponse* response) override {
    return Answer(call, "SubmitObservation", HandleSubmitObservation, *request, response);
  }
  ServerUnaryReactor* GetReasoningStatus(CallbackServerContext* call,
                                         const v1::GetReasoningStatusRequest* request,
                                         v1::GetReasoningStatusResponse* response) override {
    return Answer(call, "GetReasoningStatus", HandleGetReasoningStatus, *request, response);
  }
  grpc::ServerWriteReactor<grpc::ByteBuffer>* SubscribeContexts(
      CallbackServerContext* call, const grpc::ByteBuffer* request) override {
    if (absl::Status allowed = context_.allow_list->Check(*call, "SubscribeContexts");
        !allowed.ok()) {
      return new RefusedStream<grpc::ByteBuffer>(allowed);
    }
    return HandleSubscribeContexts(context_, *request);
  }
  grpc::ServerWriteReactor<v1::AskResponse>* Ask(CallbackServerContext* call,
                                                 const v1::AskRequest* request) override {
    if (absl::Status allowed = context_.allow_list->Check(*call, "Ask"); !allowed.ok()) {
      return new RefusedStream<v1::AskResponse>(allowed);
    }
    return HandleAsk(context_, *request);
  }

 private:
  template <typename Handler, typename Request, typename Response>
  ServerUnaryReactor* Answer(CallbackServerContext* call, const char* method, Handler handler,
                             const Request& request, Response* response) {
    absl::Status status = context_.allow_list->Check(*call, method);
    if (status.ok()) status = handler(context_, request, response);
    if (absl::IsResourceExhausted(status)) rpc::AddRetryAfter(call, kQueueRetry);
    ServerUnaryReactor* reactor = call->DefaultReactor();
    reactor->Finish(rpc::ToGrpcStatus(status));
    return reactor;
  }

  const ReasoningContext& context_;
};

// What the health service says; outlives the server in the hands of the worker that becomes ready
// late.
class ReasoningServer::Health {
 public:
  void Bind(grpc::HealthCheckServiceInterface* health) {
    absl::MutexLock lock(&mutex_);
    health_ = health;
    health_->SetServingStatus("live", true);
    Say();
  }
  void SetReady(bool ready) {
    absl::MutexLock lock(&mutex_);
    ready_ = ready && !ended_;
    Say();
  }
  // Not ready, for good.
  void End() {
    absl::MutexLock lock(&mutex_);
    ended_ = true;
    ready_ = false;
    Say();
  }
  void Unbind() {
    absl::MutexLock lock(&mutex_);
    health_ = nullptr;
  }

 private:
  void Say() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (health_ == nullptr) return;
    health_->SetServingStatus("", ready_);
    health_->SetServingStatus(kServiceName, ready_);
  }

  absl::Mutex mutex_;
  grpc::HealthCheckServiceInterface* health_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool ready_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

ReasoningServer::ReasoningServer(const ReasoningServerOptions& options, ReasoningEngine* engine)
    : options_(options),
      engine_(engine),
      allow_list_(options.tls),
      context_{.engine = engine,
               .allow_list = &allow_list_,
               .streams = &streams_,
               .limits = options.limits,
               .chunk_bytes = std::min(options.chunk_bytes, kMaxChunkOnTheWire),
               .layer_streaming = options.layer_streaming,
               .drain_deadline = options.drain_deadline},
      health_(std::make_shared<Health>()),
      service_(std::make_unique<Service>(context_)) {}

ReasoningServer::~ReasoningServer() { Stop(); }

absl::StatusOr<std::unique_ptr<ReasoningServer>> ReasoningServer::Start(
    const ReasoningServerOptions& options, ReasoningEngine* engine) {
  std::unique_ptr<ReasoningServer> server(new ReasoningServer(options, engine));
  AUTOMOT_RETURN_IF_ERROR(server->Listen());
  return server;
}

absl::Status ReasoningServer::Listen() {
  AUTOMOT_RETURN_IF_ERROR(rpc::ValidateAddress("--address", options_.address));
  if (options_.chaos_seed) {
    if (!options_.shared_memory.path.empty()) {
      return absl::InvalidArgumentError("--chaos damages messages: not with shared memory");
    }
    chaos_.emplace(*options_.chaos_seed, options_.on_chaos);
    context_.chaos = &*chaos_;
  }
  if (!options_.shared_memory.path.empty()) {
    AUTOMOT_ASSIGN_OR_RETURN(regions_, shared_memory::RegionServer::Start(options_.shared_memory));
    context_.regions = regions_.get();
  }
  AUTOMOT_ASSIGN_OR_RETURN(auto credentials,
                           rpc::ServerCredentialsFor(options_.address, options_.tls));
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  builder.RegisterService(service_.get());
  for (const rpc::IntegerArgument& argument : rpc::SnapshotTransportArguments()) {
    builder.AddChannelArgument(argument.name, argument.value);
  }
  AUTOMOT_ASSIGN_OR_RETURN(
      auto listening, rpc::Listen(options_.address, credentials, &builder, options_.connections));
  gate_ = std::move(listening.gate);
  server_ = std::move(listening.server);
  address_ = std::move(listening.address);
  health_->Bind(server_->GetHealthCheckService());
  engine_->NotifyWhenReady(
      [health = health_](const absl::Status& status) { health->SetReady(status.ok()); });
  return absl::OkStatus();
}

void ReasoningServer::Drain() {
  if (server_ == nullptr) return;
  health_->End();
  engine_->BeginDrain();
  streams_.WaitForNone(options_.drain_deadline);
  Stop();
}

void ReasoningServer::Stop() {
  if (server_ == nullptr) return;
  health_->End();
  engine_->Stop();
  if (gate_ != nullptr) gate_->Stop();
  server_->Shutdown(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(kForcedClose));
  server_->Wait();
  health_->Unbind();
  streams_.WaitForNone(absl::InfiniteDuration());
  server_.reset();
}

}  // namespace automot::reasoning
