// OpenSession, ResetSession, CloseSession, KeepAlive.
#pragma once

#include "absl/status/status.h"
#include "automot/v1/planning_service.pb.h"
#include "services/planning/handlers/planning_context.h"

namespace automot::planning {

// `client`: who asks, as rpc::ClientIdentityOf has it.
absl::Status HandleOpenSession(const PlanningContext& context, const std::string& client,
                               const automot::v1::OpenSessionRequest& request,
                               automot::v1::OpenSessionResponse* response);
absl::Status HandleResetSession(const PlanningContext& context,
                                const automot::v1::ResetSessionRequest& request,
                                automot::v1::ResetSessionResponse* response);
absl::Status HandleCloseSession(const PlanningContext& context,
                                const automot::v1::CloseSessionRequest& request,
                                automot::v1::CloseSessionResponse* response);
absl::Status HandleKeepAlive(const PlanningContext& context,
                             const automot::v1::KeepAliveRequest& request,
                             automot::v1::KeepAliveResponse* response);

}  // namespace automot::planning
