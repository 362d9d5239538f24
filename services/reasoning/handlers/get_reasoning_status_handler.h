// GetReasoningStatus: what the server is.
#pragma once

#include "absl/status/status.h"
#include "automot/v1/reasoning_service.pb.h"
#include "services/reasoning/handlers/reasoning_context.h"

namespace automot::reasoning {

absl::Status HandleGetReasoningStatus(const ReasoningContext& context,
                                      const v1::GetReasoningStatusRequest& request,
                                      v1::GetReasoningStatusResponse* response);

}  // namespace automot::reasoning
