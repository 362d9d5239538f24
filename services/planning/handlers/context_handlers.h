// PinContext, ReleaseContext.
#pragma once

#include "absl/status/status.h"
#include "automot/v1/planning_service.pb.h"
#include "services/planning/handlers/planning_context.h"

namespace automot::planning {

absl::Status HandlePinContext(const PlanningContext& context,
                              const automot::v1::PinContextRequest& request,
                              automot::v1::PinContextResponse* response);
absl::Status HandleReleaseContext(const PlanningContext& context,
                                  const automot::v1::ReleaseContextRequest& request,
                                  automot::v1::ReleaseContextResponse* response);

}  // namespace automot::planning
