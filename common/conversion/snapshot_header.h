// automot.v1.SnapshotId and SnapshotHeader <-> context::SnapshotHeader. On the wire a session has
// its name; in a process its number.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "automot/v1/context_snapshot.pb.h"
#include "common/context/context_snapshot.h"

namespace automot::conversion {

void SnapshotIdToProto(const SnapshotId& id, const std::string& session_name,
                       v1::SnapshotId* proto);
SnapshotId SnapshotIdFromProto(const v1::SnapshotId& proto, uint64_t session);

v1::ElementType ElementTypeToProto(context::ContextLayout::ElementType type);
// INVALID_ARGUMENT: unknown, or not set.
absl::StatusOr<context::ContextLayout::ElementType> ElementTypeFromProto(v1::ElementType type);

v1::KvLayout KvLayoutToProto(context::ContextLayout::Kind kind);
// INVALID_ARGUMENT for a number that is none of the contract's.
absl::StatusOr<context::ContextLayout::Kind> KvLayoutFromProto(v1::KvLayout kind);

void SnapshotHeaderToProto(const context::SnapshotHeader& header, const std::string& session_name,
                           v1::SnapshotHeader* proto);

// The header under `session`, whose name the caller compares. INVALID_ARGUMENT naming field, value
// and limit for sizes and enums that do not fit the plain type; what else a header must satisfy is
// context::CheckHeader's business.
absl::StatusOr<context::SnapshotHeader> SnapshotHeaderFromProto(const v1::SnapshotHeader& proto,
                                                                uint64_t session);

}  // namespace automot::conversion
