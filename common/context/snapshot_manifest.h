// The manifest that makes a transferred snapshot verifiable: how its bytes are cut into chunks, the
// hash of each chunk, and one digest over header, chunk list and decision. The producer computes
// it, the assembler recomputes it; both sides use this file, so there is one definition.
//
// Hashes detect damage and mix-ups, not forgery: peers authenticate each other elsewhere.
// Pure functions and plain values, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/context/chunk_hash.h"
#include "common/context/context_layout.h"
#include "common/context/context_snapshot.h"
#include "common/types/trajectory.h"

namespace automot::context {

inline constexpr std::size_t kDefaultChunkBytes = std::size_t{1} << 20;
// A chunk is at least this large unless it ends its tensor; bounds the length of a manifest.
inline constexpr std::size_t kMinChunkBytes = std::size_t{64} << 10;
inline constexpr std::size_t kMaxChunkBytes = std::size_t{16} << 20;

// One contiguous piece of one tensor. Canonical order: layer, K before V, offset.
struct ChunkSpec {
  uint32_t layer = 0;
  TensorKind tensor = TensorKind::kKey;
  uint64_t offset_bytes = 0;  // within the tensor
  uint64_t bytes = 0;
  uint64_t hash = 0;  // XXH3-64 of the bytes
  friend bool operator==(const ChunkSpec&, const ChunkSpec&) = default;
};

struct ManifestDigest {
  uint64_t low = 0;
  uint64_t high = 0;
  friend bool operator==(const ManifestDigest&, const ManifestDigest&) = default;
};

// What follows the last chunk. Decision and digest are known only then.
struct SnapshotTrailer {
  ManifestDigest digest;
  std::optional<Decision> decision;
  SnapshotTimings timings;  // not covered by the digest: metrics only
};

// Size of a chunk that does not end its tensor: `chunk_bytes` clamped to [kMinChunkBytes,
// kMaxChunkBytes] and rounded down to a multiple of 64.
std::size_t ChunkStep(std::size_t chunk_bytes);

// Every chunk of `layout` in canonical order, hashes zero, cut at ChunkStep(chunk_bytes). Requires
// a valid layout.
std::vector<ChunkSpec> PlanChunks(const ContextLayout& layout, std::size_t chunk_bytes);

// Accumulates the manifest of one snapshot; XXH3-128 over its canonical little-endian form. Not
// thread-safe.
class ManifestHasher {
 public:
  // A session's number belongs to one process: between processes `session_name` stands for it.
  explicit ManifestHasher(const SnapshotHeader& header, std::string_view session_name = {});
  void Add(const ChunkSpec& chunk);  // in the order sent
  ManifestDigest Finish(const std::optional<Decision>& decision) const;

 private:
  std::string manifest_;
};

struct SnapshotManifest {
  std::vector<ChunkSpec> chunks;  // hashes filled
  SnapshotTrailer trailer;
};

// The manifest of a complete snapshot. Reads every byte once.
SnapshotManifest BuildManifest(const ContextSnapshot& snapshot, std::size_t chunk_bytes);

}  // namespace automot::context
