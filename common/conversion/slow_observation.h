// automot.v1.SlowObservation <-> context::SlowObservation.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "automot/v1/reasoning_service.pb.h"
#include "common/context/slow_observation.h"
#include "common/conversion/observation.h"

namespace automot::conversion {

// `frames` instead of the observation's own: the ones that the peer does not have yet. The BEV
// feature stays behind: only the action expert of a planner reads it. Session and episode belong to
// the request around it.
void SlowObservationToProto(const context::SlowObservation& observation,
                            const std::vector<std::shared_ptr<const CameraFrame>>& frames,
                            v1::SlowObservation* proto);

// INVALID_ARGUMENT naming field, value and limit. LiDAR points become a histogram; half a sweep
// stays half (reason HALF_SWEEP).
absl::StatusOr<std::shared_ptr<context::SlowObservation>> SlowObservationFromProto(
    const v1::SlowObservation& proto, const ObservationLimits& limits = {});

}  // namespace automot::conversion
