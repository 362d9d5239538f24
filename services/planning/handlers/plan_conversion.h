// automot.v1.PlanRequest <-> PlanCall, and a planned PlanWork -> automot.v1.PlanResponse.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "automot/v1/planning_service.pb.h"
#include "services/planning/planning_engine.h"

namespace automot::planning {

// INVALID_ARGUMENT naming `field` where `id` belongs to another session; an empty one means this.
absl::Status CheckSnapshotSession(const char* field, const automot::v1::SnapshotId& id,
                                  const std::string& session);

// The session of the result is left 0: names become keys in the engine.
SnapshotId SnapshotIdFromProto(const automot::v1::SnapshotId& proto);
void SnapshotIdToProto(const SnapshotId& id, const std::string& session,
                       automot::v1::SnapshotId* proto);

// Decodes pictures; INVALID_ARGUMENT names field, value and limit.
absl::StatusOr<PlanCall> PlanCallFromProto(const automot::v1::PlanRequest& request);

// Pictures go out as raw RGB.
void PlanCallToProto(const PlanCall& call, automot::v1::PlanRequest* request);
// Keeps the request beside the call where the engine's recorder wants it.
void KeepForRecorder(const PlanningEngine& engine, const automot::v1::PlanRequest& request,
                     PlanCall* call);

// Fills the response of an answered plan.
void PlanResponseToProto(const PlanWork& work, const std::string& model_revision,
                         absl::Duration now, automot::v1::PlanResponse* response);

void PlanStatusToProto(const PlanAnswer& answer, automot::v1::PlanStatus* proto);

}  // namespace automot::planning
