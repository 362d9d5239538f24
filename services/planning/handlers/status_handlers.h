// GetSessionStatus, GetPlanningStatus.
#pragma once

#include "absl/status/status.h"
#include "automot/v1/planning_service.pb.h"
#include "services/planning/handlers/planning_context.h"

namespace automot::planning {

absl::Status HandleGetSessionStatus(const PlanningContext& context,
                                    const automot::v1::GetSessionStatusRequest& request,
                                    automot::v1::GetSessionStatusResponse* response);
absl::Status HandleGetPlanningStatus(const PlanningContext& context,
                                     const automot::v1::GetPlanningStatusRequest& request,
                                     automot::v1::GetPlanningStatusResponse* response);

}  // namespace automot::planning
