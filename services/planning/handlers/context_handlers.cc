#include "services/planning/handlers/context_handlers.h"

#include <optional>

#include "common/status/status_macros.h"
#include "services/planning/handlers/plan_conversion.h"

namespace automot::planning {

namespace v1 = automot::v1;

absl::Status HandlePinContext(const PlanningContext& context, const v1::PinContextRequest& request,
                              v1::PinContextResponse* response) {
  std::optional<SnapshotId> id;
  if (request.has_snapshot()) {
    AUTOMOT_RETURN_IF_ERROR(
        CheckSnapshotSession("snapshot.session", request.snapshot(), request.session()));
    id = SnapshotIdFromProto(request.snapshot());
  }
  AUTOMOT_ASSIGN_OR_RETURN(
      const PlanningEngine::Pinned pinned,
      context.engine->PinContext(request.session(), request.lease(), id, request.ttl_us()));
  response->set_context_lease(pinned.context_lease);
  SnapshotIdToProto(pinned.snapshot, request.session(), response->mutable_snapshot());
  return absl::OkStatus();
}

absl::Status HandleReleaseContext(const PlanningContext& context,
                                  const v1::ReleaseContextRequest& request,
                                  v1::ReleaseContextResponse*) {
  return context.engine->ReleaseContext(request.session(), request.lease(),
                                        request.context_lease());
}

}  // namespace automot::planning
