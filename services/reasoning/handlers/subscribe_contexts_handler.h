// SubscribeContexts: attaches a consumer to a session and streams its snapshots. Step 3 of a tick.
#pragma once

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include "services/reasoning/handlers/reasoning_context.h"

namespace automot::reasoning {

// `request` holds a serialised SubscribeContextsRequest.
grpc::ServerWriteReactor<grpc::ByteBuffer>* HandleSubscribeContexts(
    const ReasoningContext& context, const grpc::ByteBuffer& request);

}  // namespace automot::reasoning
