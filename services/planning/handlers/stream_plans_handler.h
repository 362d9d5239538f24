// StreamPlans: many ticks over one stream.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "automot/v1/planning_service.pb.h"
#include "services/planning/handlers/planning_context.h"

namespace automot::planning {

grpc::ServerBidiReactor<automot::v1::StreamPlansRequest, automot::v1::StreamPlansResponse>*
HandleStreamPlans(const PlanningContext& context, grpc::CallbackServerContext* call);

}  // namespace automot::planning
