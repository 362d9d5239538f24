// Serialised SubscribeContextsResponse messages. Keys and values are borrowed from the snapshot,
// never copied.
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <string>

#include "automot/v1/reasoning_service.pb.h"
#include "services/reasoning/snapshot_outbox.h"

namespace automot::reasoning {

grpc::ByteBuffer Serialize(const v1::SubscribeContextsResponse& message);

// The message of one piece. A chunk's buffer keeps its snapshot alive until gRPC lets the buffer
// go, on whatever thread.
grpc::ByteBuffer Serialize(const OutboxItem& item, const std::string& session_name);

}  // namespace automot::reasoning
