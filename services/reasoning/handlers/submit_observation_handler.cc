#include "services/reasoning/handlers/submit_observation_handler.h"

#include <utility>

#include "common/conversion/slow_observation.h"
#include "common/status/status_macros.h"
#include "services/reasoning/handlers/session_name.h"

namespace automot::reasoning {

absl::Status HandleSubmitObservation(const ReasoningContext& context,
                                     const v1::SubmitObservationRequest& request,
                                     v1::SubmitObservationResponse* response) {
  AUTOMOT_RETURN_IF_ERROR(CheckSessionName(request.session()));
  if (!request.has_observation()) return absl::InvalidArgumentError("observation is missing");
  AUTOMOT_ASSIGN_OR_RETURN(
      std::shared_ptr<context::SlowObservation> observation,
      conversion::SlowObservationFromProto(request.observation(), context.limits));
  observation->episode = request.episode();
  // Before the refresh that the observation may begin.
  context.engine->NoteHeld(request.session(), request.epoch(), request.held_version());
  AUTOMOT_ASSIGN_OR_RETURN(
      const uint64_t superseded,
      context.engine->SubmitByName(request.session(), request.epoch(), std::move(observation)));
  response->set_superseded(superseded);
  return absl::OkStatus();
}

}  // namespace automot::reasoning
