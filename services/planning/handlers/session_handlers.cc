#include "services/planning/handlers/session_handlers.h"

#include "common/status/status_macros.h"
#include "services/planning/handlers/session_conversion.h"

namespace automot::planning {

namespace v1 = automot::v1;

absl::Status HandleOpenSession(const PlanningContext& context, const std::string& client,
                               const v1::OpenSessionRequest& request,
                               v1::OpenSessionResponse* response) {
  AUTOMOT_ASSIGN_OR_RETURN(const SessionOptions options,
                           SessionOptionsFromProto(request.options()));
  AUTOMOT_ASSIGN_OR_RETURN(
      const OpenedSession opened,
      context.engine->OpenSession(request.session(), request.resume_token(), options, client));
  response->set_resume_token(opened.resume_token);
  response->set_lease(opened.lease);
  response->set_episode(opened.episode);
  response->set_model_revision(context.engine->model().model_revision);
  response->set_weights_trained(context.engine->model().weights_trained);
  return absl::OkStatus();
}

absl::Status HandleResetSession(const PlanningContext& context,
                                const v1::ResetSessionRequest& request,
                                v1::ResetSessionResponse* response) {
  AUTOMOT_ASSIGN_OR_RETURN(const OpenedSession reset,
                           context.engine->ResetSession(request.session(), request.lease()));
  response->set_episode(reset.episode);
  response->set_resume_token(reset.resume_token);
  return absl::OkStatus();
}

absl::Status HandleCloseSession(const PlanningContext& context,
                                const v1::CloseSessionRequest& request, v1::CloseSessionResponse*) {
  return context.engine->CloseSession(request.session(), request.lease());
}

absl::Status HandleKeepAlive(const PlanningContext& context, const v1::KeepAliveRequest& request,
                             v1::KeepAliveResponse* response) {
  AUTOMOT_ASSIGN_OR_RETURN(const absl::Duration remaining,
                           context.engine->KeepAlive(request.session(), request.lease()));
  response->set_remaining_ms(absl::ToInt64Milliseconds(remaining));
  return absl::OkStatus();
}

}  // namespace automot::planning
