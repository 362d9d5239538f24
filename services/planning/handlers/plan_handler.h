// Plan: one tick, answered asynchronously.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "automot/v1/planning_service.pb.h"
#include "services/planning/handlers/planning_context.h"

namespace automot::planning {

// Wall monotonic deadline of a call; infinite where the client set none.
absl::Duration DeadlineOf(const grpc::CallbackServerContext& call, const Clock& clock);

grpc::ServerUnaryReactor* HandlePlan(const PlanningContext& context,
                                     grpc::CallbackServerContext* call,
                                     const automot::v1::PlanRequest* request,
                                     automot::v1::PlanResponse* response);

}  // namespace automot::planning
