// SubmitObservation: one slow observation into the engine. Step 2 of a tick.
#pragma once

#include "absl/status/status.h"
#include "automot/v1/reasoning_service.pb.h"
#include "services/reasoning/handlers/reasoning_context.h"

namespace automot::reasoning {

absl::Status HandleSubmitObservation(const ReasoningContext& context,
                                     const v1::SubmitObservationRequest& request,
                                     v1::SubmitObservationResponse* response);

}  // namespace automot::reasoning
