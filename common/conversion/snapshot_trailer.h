// automot.v1.SnapshotTrailer <-> context::SnapshotTrailer.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "automot/v1/context_snapshot.pb.h"
#include "common/context/snapshot_manifest.h"

namespace automot::conversion {

void SnapshotTrailerToProto(const context::SnapshotTrailer& trailer, const SnapshotId& id,
                            const std::string& session_name, uint32_t chunk_count,
                            v1::SnapshotTrailer* proto);

// INVALID_ARGUMENT for a digest that has not 16 bytes or a malformed decision. Of the timings only
// the total crosses the wire.
absl::StatusOr<context::SnapshotTrailer> SnapshotTrailerFromProto(const v1::SnapshotTrailer& proto);

}  // namespace automot::conversion
