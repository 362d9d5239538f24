// Reads one serialised SubscribeContextsResponse. A chunk's payload is not copied: it is described
// by pieces of the buffer.
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <span>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "automot/v1/reasoning_service.pb.h"
#include "common/context/snapshot_manifest.h"

namespace automot::planning {

struct ChunkMessage {
  context::ChunkSpec chunk;
  // Above 0: in place of a payload, the bytes of that version at the same place.
  uint64_t reuse_version = 0;
  // The payload, in order; valid while the buffer lives.
  std::vector<std::span<const std::byte>> pieces;
};

using SubscribeMessage = std::variant<ChunkMessage, v1::SubscribeContextsResponse>;

// INVALID_ARGUMENT for bytes that are no such message, or a payload above the contract's 4 MiB.
absl::StatusOr<SubscribeMessage> ParseSubscribeMessage(grpc::ByteBuffer& buffer);

}  // namespace automot::planning
