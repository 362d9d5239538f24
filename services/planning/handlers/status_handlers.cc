#include "services/planning/handlers/status_handlers.h"

#include "common/status/status_macros.h"
#include "services/planning/handlers/plan_conversion.h"

namespace automot::planning {

namespace v1 = automot::v1;

namespace {

v1::SnapshotLane LaneToProto(context::Lane lane) {
  switch (lane) {
    case context::Lane::kInProcess:
      return v1::SNAPSHOT_LANE_IN_PROCESS;
    case context::Lane::kSharedMemory:
      return v1::SNAPSHOT_LANE_SHARED_MEMORY;
    case context::Lane::kGrpc:
      return v1::SNAPSHOT_LANE_GRPC;
  }
  return v1::SNAPSHOT_LANE_UNSPECIFIED;
}

v1::LinkState LinkStateToProto(context::LinkState state) {
  switch (state) {
    case context::LinkState::kDown:
      return v1::LINK_STATE_DOWN;
    case context::LinkState::kUp:
      return v1::LINK_STATE_UP;
    case context::LinkState::kDraining:
      return v1::LINK_STATE_DRAINING;
  }
  return v1::LINK_STATE_UNSPECIFIED;
}

}  // namespace

absl::Status HandleGetSessionStatus(const PlanningContext& context,
                                    const v1::GetSessionStatusRequest& request,
                                    v1::GetSessionStatusResponse* response) {
  AUTOMOT_ASSIGN_OR_RETURN(const SessionStatus status,
                           context.engine->GetSessionStatus(request.session()));
  response->set_session(request.session());
  response->set_episode(status.episode);
  SnapshotIdToProto(status.latest, request.session(), response->mutable_latest_snapshot());
  if (status.latest_capture_us) response->set_latest_capture_time_us(*status.latest_capture_us);
  if (status.observation_us) response->set_observation_time_us(*status.observation_us);
  response->set_retained_versions(status.retained);
  response->set_link_state(LinkStateToProto(status.link_state));
  response->set_link_message(status.link_message);
  response->set_parked_plans(status.parked);
  response->set_plans_answered(status.answered);
  response->set_snapshots_published(status.published);
  response->set_snapshots_rejected(status.rejected);
  response->set_plans_fallback(status.fallback);
  response->set_recovering(status.recovering);
  return absl::OkStatus();
}

absl::Status HandleGetPlanningStatus(const PlanningContext& context,
                                     const v1::GetPlanningStatusRequest&,
                                     v1::GetPlanningStatusResponse* response) {
  const PlanningEngine& engine = *context.engine;
  const PlanningLoop::Load load = engine.load();
  response->set_model_revision(engine.model().model_revision);
  response->set_weights_trained(engine.model().weights_trained);
  response->set_ready(true);  // the engine exists only warmed up
  response->set_draining(engine.draining());
  response->set_lane(LaneToProto(engine.lane()));
  response->set_sessions(engine.session_count());
  response->set_session_limit(engine.options().session_limit);
  response->set_queued_plans(load.pending);
  response->set_queue_limit(engine.options().loop.queue_capacity);
  response->set_target_point_rule(engine.model().target_point_rule);
  response->set_camera_width(static_cast<uint32_t>(engine.model().camera_width));
  response->set_camera_height(static_cast<uint32_t>(engine.model().camera_height));
  return absl::OkStatus();
}

}  // namespace automot::planning
