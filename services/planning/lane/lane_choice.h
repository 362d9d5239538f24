// Which lane a planner uses towards its producers: chosen once, at start, by trying.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/context/snapshot_channel.h"
#include "services/planning/lane/grpc_snapshot_channel.h"

namespace automot::planning {

struct LaneChoice {
  context::Lane lane = context::Lane::kGrpc;
  std::string reason;
};

// `wanted` empty: shared memory where every producer of `options` passes the trial (it announces
// its socket, and a region that came over that socket was mapped and read back), else gRPC. A
// producer that does not answer within `patience` does not pass. With kSharedMemory wanted the
// trial's failure is an error, FAILED_PRECONDITION naming producer and cause; kGrpc tries nothing.
// Blocks; logs the choice as `context_lane`.
absl::StatusOr<LaneChoice> ChooseLane(std::optional<context::Lane> wanted,
                                      const GrpcSnapshotChannelOptions& options,
                                      absl::Duration patience = absl::Seconds(2));

}  // namespace automot::planning
