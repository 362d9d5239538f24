#include "services/planning/planning_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "automot/v1/planning_service.grpc.pb.h"
#include "common/rpc/address.h"
#include "common/rpc/client_identity.h"
#include "common/rpc/listen.h"
#include "common/rpc/status_conversion.h"
#include "common/status/status_macros.h"
#include "services/planning/handlers/context_handlers.h"
#include "services/planning/handlers/plan_batch_handler.h"
#include "services/planning/handlers/plan_handler.h"
#include "services/planning/handlers/session_handlers.h"
#include "services/planning/handlers/status_handlers.h"
#include "services/planning/handlers/stream_plans_handler.h"
#include "services/planning/session_options.h"

namespace automot::planning {

namespace v1 = automot::v1;
constexpr absl::Duration kShortestDrain = absl::Seconds(1);  // of accepted plans
constexpr absl::Duration kSessionRetry = absl::Seconds(1);   // nobody knows when one closes
using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

// Only routes: each method names its handler.
class PlanningServer::Service final : public v1::PlanningService::CallbackService {
 public:
  explicit Service(const PlanningContext& context) : context_(context) {}

  ServerUnaryReactor* OpenSession(CallbackServerContext* call,
                                  const v1::OpenSessionRequest* request,
                                  v1::OpenSessionResponse* response) override {
    const auto open = [call](const PlanningContext& context, const v1::OpenSessionRequest& asked,
                             v1::OpenSessionResponse* opened) {
      const absl::Status status =
          HandleOpenSession(context, rpc::ClientIdentityOf(*call), asked, opened);
      if (absl::IsResourceExhausted(status)) rpc::AddRetryAfter(call, kSessionRetry);
      return status;
    };
    return Answer(call, "OpenSession", open, *request, response);
  }
  ServerUnaryReactor* ResetSession(CallbackServerContext* call,
                                   const v1::ResetSessionRequest* request,
                                   v1::ResetSessionResponse* response) override {
    return Answer(call, "ResetSession", HandleResetSession, *request, response);
  }
  ServerUnaryReactor* CloseSession(CallbackServerContext* call,
                                   const v1::CloseSessionRequest* request,
                                   v1::CloseSessionResponse* response) override {
    return Answer(call, "CloseSession", HandleCloseSession, *request, response);
  }
  ServerUnaryReactor* KeepAlive(CallbackServerContext* call, const v1::KeepAliveRequest* request,
                                v1::KeepAliveResponse* response) override {
    return Answer(call, "KeepAlive", HandleKeepAlive, *request, response);
  }
  ServerUnaryReactor* PinContext(CallbackServerContext* call, const v1::PinContextRequest* request,
                                 v1::PinContextResponse* response) override {
    return Answer(call, "PinContext", HandlePinContext, *request, response);
  }
  ServerUnaryReactor* ReleaseContext(CallbackServerContext* call,
                                     const v1::ReleaseContextRequest* request,
                                     v1::ReleaseContextResponse* response) override {
    return Answer(call, "ReleaseContext", HandleReleaseContext, *request, response);
  }
  ServerUnaryReactor* GetSessionStatus(CallbackServerContext* call,
                                       const v1::GetSessionStatusRequest* request,
                                       v1::GetSessionStatusResponse* response) override {
    return Answer(call, "GetSessionStatus", HandleGetSessionStatus, *request, response);
  }
  ServerUnaryReactor* GetPlanningStatus(CallbackServerContext* call,
                                        const v1::GetPlanningStatusRequest* request,
                                        v1::GetPlanningStatusResponse* response) override {
    return Answer(call, "GetPlanningStatus", HandleGetPlanningStatus, *request, response);
  }

  ServerUnaryReactor* Plan(CallbackServerContext* call, const v1::PlanRequest* request,
                           v1::PlanResponse* response) override {
    const absl::Status allowed = context_.admission.Check(call, "Plan", *request);
    return allowed.ok() ? HandlePlan(context_, call, request, response) : Refuse(call, allowed);
  }
  ServerUnaryReactor* PlanBatch(CallbackServerContext* call, const v1::PlanBatchRequest* request,
                                v1::PlanBatchResponse* response) override {
    const absl::Status allowed = context_.admission.Check(
        call, "PlanBatch", *request, static_cast<uint32_t>(std::max(request->plans_size(), 1)));
    return allowed.ok() ? HandlePlanBatch(context_, call, request, response)
                        : Refuse(call, allowed);
  }
  grpc::ServerBidiReactor<v1::StreamPlansRequest, v1::StreamPlansResponse>* StreamPlans(
      CallbackServerContext* call) override {
    if (const absl::Status allowed = context_.admission.allow_list->Check(*call, "StreamPlans");
        !allowed.ok()) {
      return new RefusedStream(rpc::ToGrpcStatus(allowed));
    }
    return HandleStreamPlans(context_, call);
  }

 private:
  class RefusedStream final
      : public grpc::ServerBidiReactor<v1::StreamPlansRequest, v1::StreamPlansResponse> {
   public:
    explicit RefusedStream(const grpc::Status& status) { Finish(status); }
    void OnDone() override { delete this; }
  };

  static ServerUnaryReactor* Refuse(CallbackServerContext* call, const absl::Status& status) {
    ServerUnaryReactor* reactor = call->DefaultReactor();
    reactor->Finish(rpc::ToGrpcStatus(status));
    return reactor;
  }

  template <typename Handler, typename Request, typename Response>
  ServerUnaryReactor* Answer(CallbackServerContext* call, const char* method, Handler handler,
                             const Request& request, Response* response) {
    absl::Status status = context_.admission.Check(call, method, request);
    if constexpr (requires { request.session(); }) {
      if (status.ok()) status = ValidateSessionName(request.session());
    }
    if (status.ok()) status = handler(context_, request, response);
    return Refuse(call, status);  // an OK status finishes the call with the response
  }

  const PlanningContext& context_;
};

PlanningServer::PlanningServer(const PlanningServerOptions& options, const PlanningContext& context,
                               PortExtension* extension)
    : options_(options),
      context_(context),
      extension_(extension),
      service_(std::make_unique<Service>(context)) {}

PlanningServer::~PlanningServer() { Drain(); }

absl::StatusOr<std::unique_ptr<PlanningServer>> PlanningServer::Start(
    const PlanningServerOptions& options, const PlanningContext& context,
    PortExtension* extension) {
  AUTOMOT_RETURN_IF_ERROR(rpc::ValidateAddress("--address", options.address));
  AUTOMOT_ASSIGN_OR_RETURN(auto credentials,
                           rpc::ServerCredentialsFor(options.address, options.tls));
  std::unique_ptr<PlanningServer> server(new PlanningServer(options, context, extension));

  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  builder.RegisterService(server->service_.get());
  if (extension != nullptr) builder.RegisterService(extension->service());
  AUTOMOT_ASSIGN_OR_RETURN(auto listening,
                           rpc::Listen(options.address, credentials, &builder, options.limits,
                                       [&context] { context.metrics->CountConnectionRefusal(); }));
  server->gate_ = std::move(listening.gate);
  server->server_ = std::move(listening.server);
  server->address_ = std::move(listening.address);
  auto* health = server->server_->GetHealthCheckService();
  health->SetServingStatus(true);
  health->SetServingStatus("automot.v1.PlanningService", true);
  health->SetServingStatus("live", true);
  return server;
}

void PlanningServer::Drain() {
  if (server_ == nullptr) return;
  auto* health = server_->GetHealthCheckService();
  health->SetServingStatus("", false);
  health->SetServingStatus("automot.v1.PlanningService", false);
  const absl::Duration end = context_.clock->Now() + options_.drain_deadline;
  if (extension_ != nullptr) extension_->Drain(options_.drain_deadline);
  const absl::Duration left = std::max(end - context_.clock->Now(), kShortestDrain);
  context_.engine->Drain(left).IgnoreError();
  if (gate_ != nullptr) gate_->Stop();
  server_->Shutdown(std::chrono::system_clock::now() +
                    absl::ToChronoMilliseconds(absl::Seconds(1)));
  server_->Wait();
  server_.reset();
}

}  // namespace automot::planning
