#include "services/planning/handlers/plan_conversion.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/conversion/decision.h"
#include "common/conversion/observation.h"
#include "common/conversion/reasons.h"
#include "common/rpc/status_conversion.h"
#include "common/status/status_macros.h"
#include "services/planning/handlers/session_conversion.h"
#include "services/planning/session.h"

namespace automot::planning {

namespace v1 = automot::v1;

namespace {

void SetVec2(const Vec2& value, v1::Vec2* proto) {
  proto->set_x(value.x);
  proto->set_y(value.y);
}

void TrajectoryToProto(const Trajectory& trajectory, v1::Trajectory* proto) {
  for (const Vec2& point : trajectory.route) SetVec2(point, proto->add_route());
  for (int i = 0; i < kWaypoints; ++i) {
    v1::Waypoint* waypoint = proto->add_waypoints();
    SetVec2(trajectory.waypoints[i], waypoint->mutable_position());
    waypoint->set_time_offset_us(static_cast<int64_t>((i + 1) * kWaypointSpacingSeconds * 1e6));
  }
}

void AgesToProto(const PlanWork& work, v1::PlanAges* proto) {
  const PlanResult& result = work.result;
  if (result.snapshot.valid()) {
    proto->set_context_us(work.capture_time_us - result.snapshot_capture_us);
    proto->set_version_gap(result.version_gap);
  }
  if (work.camera_age_us) proto->set_camera_us(*work.camera_age_us);
  if (work.lidar_age_us) proto->set_lidar_us(*work.lidar_age_us);
}

void TravelToProto(const ContextTravel& travel, v1::ContextTravel* proto) {
  if (travel.distance_m) proto->set_distance_m(*travel.distance_m);
  if (travel.yaw_change_rad) proto->set_yaw_change_rad(*travel.yaw_change_rad);
  if (travel.speed_change_mps) proto->set_speed_change_mps(*travel.speed_change_mps);
  if (travel.target_point_shift_m) proto->set_target_point_shift_m(*travel.target_point_shift_m);
}

void ProvenanceToProto(const PlanWork& work, const std::string& model_revision, absl::Duration now,
                       v1::PlanProvenance* proto) {
  const PlanResult& result = work.result;
  SnapshotIdToProto(result.snapshot, work.session->name, proto->mutable_snapshot());
  if (result.snapshot.valid()) proto->set_snapshot_capture_time_us(result.snapshot_capture_us);
  proto->set_model_revision(model_revision);
  AgesToProto(work, proto->mutable_ages());
  if (result.travel) TravelToProto(*result.travel, proto->mutable_context_travel());
  conversion::ReasonsToProto(result.reasons, proto->mutable_reasons());
  v1::PlanTiming* timing = proto->mutable_timing();
  timing->set_ingest_s(work.ingest_s);
  timing->set_queue_s(result.queue_s);
  timing->set_parked_s(result.parked_s);
  timing->set_bev_encoder_s(result.bev_encoder_s);
  timing->set_action_expert_s(result.action_expert_s);
  timing->set_total_s(absl::ToDoubleSeconds(now - work.arrived));
}

absl::StatusOr<ContextChoice> ContextChoiceFromProto(const v1::ContextChoice& proto,
                                                     const std::string& session) {
  ContextChoice choice;
  switch (proto.choice_case()) {
    case v1::ContextChoice::kExactly:
      if (proto.exactly().version() == 0) {
        return absl::InvalidArgumentError("context.exactly.version is 0; versions start at 1");
      }
      AUTOMOT_RETURN_IF_ERROR(
          CheckSnapshotSession("context.exactly.session", proto.exactly(), session));
      choice.kind = ContextChoice::Kind::kExactly;
      choice.id = SnapshotIdFromProto(proto.exactly());
      break;
    case v1::ContextChoice::kAtLeastVersion:
      choice.kind = ContextChoice::Kind::kAtLeast;
      choice.id.version = proto.at_least_version();
      break;
    default:
      break;
  }
  return choice;
}

}  // namespace

absl::Status CheckSnapshotSession(const char* field, const v1::SnapshotId& id,
                                  const std::string& session) {
  if (id.session().empty() || id.session() == session) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, " is '", id.session().substr(0, 128),
                                                 "'; it must be empty or '", session, "'"));
}

SnapshotId SnapshotIdFromProto(const v1::SnapshotId& proto) {
  return {
      .session = 0, .episode = proto.episode(), .epoch = proto.epoch(), .version = proto.version()};
}

void SnapshotIdToProto(const SnapshotId& id, const std::string& session, v1::SnapshotId* proto) {
  proto->set_session(session);
  proto->set_episode(id.episode);
  proto->set_epoch(id.epoch);
  proto->set_version(id.version);
}

absl::StatusOr<PlanCall> PlanCallFromProto(const v1::PlanRequest& request) {
  AUTOMOT_RETURN_IF_ERROR(ValidateSessionName(request.session()));
  PlanCall call;
  call.session = request.session();
  call.lease = request.lease();
  call.sequence = request.sequence();
  AUTOMOT_ASSIGN_OR_RETURN(call.choice,
                           ContextChoiceFromProto(request.context(), request.session()));
  if (request.on_expired() != v1::ON_EXPIRED_UNSPECIFIED) {
    AUTOMOT_ASSIGN_OR_RETURN(call.on_expired, OnExpiredFromProto("on_expired", request.on_expired(),
                                                                 OnExpired::kFallback));
  }
  AUTOMOT_ASSIGN_OR_RETURN(call.observation,
                           conversion::ObservationFromProto(request.observation()));
  return call;
}

void PlanCallToProto(const PlanCall& call, v1::PlanRequest* request) {
  request->set_session(call.session);
  request->set_lease(call.lease);
  request->set_sequence(call.sequence);
  conversion::ObservationToProto(call.observation, request->mutable_observation());
  if (call.choice.kind == ContextChoice::Kind::kExactly) {
    SnapshotIdToProto(call.choice.id, call.session, request->mutable_context()->mutable_exactly());
  } else if (call.choice.kind == ContextChoice::Kind::kAtLeast) {
    request->mutable_context()->set_at_least_version(call.choice.id.version);
  }
  if (call.on_expired) request->set_on_expired(OnExpiredToProto(*call.on_expired));
}

void KeepForRecorder(const PlanningEngine& engine, const v1::PlanRequest& request, PlanCall* call) {
  if (!engine.wants_requests()) return;
  call->encoded = std::make_shared<const std::string>(request.SerializeAsString());
}

void PlanResponseToProto(const PlanWork& work, const std::string& model_revision,
                         absl::Duration now, v1::PlanResponse* response) {
  const PlanResult& result = work.result;
  response->set_session(work.session->name);
  response->set_sequence(work.sequence);
  response->set_episode(work.episode);
  response->set_capture_time_us(work.capture_time_us);
  TrajectoryToProto(result.trajectory, response->mutable_trajectory());
  if (result.decision) conversion::DecisionToProto(*result.decision, response->mutable_decision());
  if (result.context_decision) {
    conversion::DecisionToProto(*result.context_decision, response->mutable_context_decision());
  }
  response->set_decision_agreement(static_cast<v1::DecisionAgreement>(result.agreement));
  response->set_decision_consistency(static_cast<v1::DecisionConsistency>(result.consistency));
  if (result.control) {
    v1::ControlCommand* control = response->mutable_control();
    control->set_steer(result.control->steer);
    control->set_throttle(result.control->throttle);
    control->set_brake(result.control->brake);
  }
  ProvenanceToProto(work, model_revision, now, response->mutable_provenance());
}

void PlanStatusToProto(const PlanAnswer& answer, v1::PlanStatus* proto) {
  proto->set_code(answer.status.raw_code());
  proto->set_message(rpc::BoundedMessage(answer.status));
  if (answer.retry_after > absl::ZeroDuration()) {
    proto->set_retry_after_ms(std::max<int64_t>(1, absl::ToInt64Milliseconds(answer.retry_after)));
  }
}

}  // namespace automot::planning
