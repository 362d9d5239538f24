// The messages of one snapshot as plain values, so that a fault can change, move or drop each.
#pragma once

#include <cstddef>
#include <string_view>
#include <variant>
#include <vector>

#include "common/context/context_snapshot.h"
#include "common/context/snapshot_manifest.h"

namespace automot::faults {

struct WireChunk {
  context::ChunkSpec spec;
  std::vector<std::byte> bytes;  // owned: a fault never touches the snapshot
};
using WireMessage = std::variant<context::SnapshotHeader, WireChunk, context::SnapshotTrailer>;

// The undamaged messages of a snapshot: header, chunks, trailer. `session_name` as in
// ManifestHasher.
std::vector<WireMessage> Messages(const context::ContextSnapshot& snapshot, std::size_t chunk_bytes,
                                  std::string_view session_name = {});

// Makes the trailer's digest that of the header and chunks before it. For producers of test data
// that change a header.
void Reseal(std::vector<WireMessage>& messages, std::string_view session_name = {});

}  // namespace automot::faults
