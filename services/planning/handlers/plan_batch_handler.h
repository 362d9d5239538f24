// PlanBatch: the vehicles of one simulator step.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "automot/v1/planning_service.pb.h"
#include "services/planning/handlers/planning_context.h"

namespace automot::planning {

grpc::ServerUnaryReactor* HandlePlanBatch(const PlanningContext& context,
                                          grpc::CallbackServerContext* call,
                                          const automot::v1::PlanBatchRequest* request,
                                          automot::v1::PlanBatchResponse* response);

}  // namespace automot::planning
