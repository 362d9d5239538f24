// Ask: a question about a session's scene, answered as the tokens come.
#pragma once

#include <grpcpp/support/server_callback.h>

#include "automot/v1/reasoning_service.pb.h"
#include "services/reasoning/handlers/reasoning_context.h"

namespace automot::reasoning {

grpc::ServerWriteReactor<v1::AskResponse>* HandleAsk(const ReasoningContext& context,
                                                     const v1::AskRequest& request);

}  // namespace automot::reasoning
