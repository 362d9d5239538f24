#include "services/egodriver/handlers/start_session_handler.h"

#include <optional>
#include <string>
#include <utility>

#include "common/rpc/client_identity.h"
#include "services/egodriver/handlers/held_call.h"
#include "services/egodriver/handlers/session_conversion.h"

namespace automot::egodriver {
namespace {

std::optional<std::string> RevisionOf(const grpc::CallbackServerContext& call) {
  const auto& metadata = call.client_metadata();
  const auto entry = metadata.find(kContractKey);
  if (entry == metadata.end()) return std::nullopt;
  return std::string(entry->second.data(), entry->second.size());
}

}  // namespace

grpc::ServerUnaryReactor* HandleStartSession(const EgodriverContext& context,
                                             grpc::CallbackServerContext* call,
                                             const ::egodriver::DriveSessionRequest* request) {
  auto* held = new HeldCall(context, Method::kStartSession);  // deletes itself
  absl::StatusOr<StartRequest> start = StartRequestFromProto(*request, RevisionOf(*call));
  if (!start.ok()) {
    held->Answer(start.status());
    return held;
  }
  start->client = rpc::ClientIdentityOf(*call);
  context.engine->Start(*std::move(start), held->cancelled(),
                        [held](const absl::Status& status) { held->Answer(status); });
  return held;
}

}  // namespace automot::egodriver
