// Faults of a transfer, replayable from a seed: what a broken network, a dying producer or a bug
// may do to the messages of one snapshot. The receiver must answer each with an error or with the
// exact bytes.
//
// Plain values, any thread; the same seed and messages give the same result on every machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "common/context/context_snapshot.h"
#include "common/context/snapshot_manifest.h"

namespace automot::test_support {

struct WireChunk {
  context::ChunkSpec spec;
  std::vector<std::byte> bytes;
};
using WireMessage = std::variant<context::SnapshotHeader, WireChunk, context::SnapshotTrailer>;

// The undamaged messages of a snapshot: header, chunks, trailer.
std::vector<WireMessage> Messages(const context::ContextSnapshot& snapshot,
                                  std::size_t chunk_bytes);

enum class FaultKind : uint8_t {
  kNone,             // control: must be delivered
  kDrop,             // one message is missing
  kDuplicate,        // one message comes twice
  kReorder,          // two messages change places
  kTruncate,         // one chunk ends early
  kFlipBits,         // one to eight bits of one chunk's bytes
  kCorruptMetadata,  // a field of a chunk's description, the header or the trailer
  kSwapLayers,       // two chunks exchange bytes and hashes and keep their places
  kStaleEpoch,       // the whole snapshot comes from a fenced producer
  kStopAtByte,       // the producer is killed after a number of payload bytes
};
inline constexpr int kFaultKindCount = 10;

// One to three faults drawn from a seed, applied in turn.
class FaultPlan {
 public:
  static FaultPlan FromSeed(uint64_t seed);
  static FaultPlan Of(FaultKind kind, uint64_t seed);

  std::vector<WireMessage> Apply(std::vector<WireMessage> messages) const;
  const std::vector<FaultKind>& kinds() const { return kinds_; }
  // "seed=7 drop,flip_bits": enough to replay.
  std::string ToString() const;

 private:
  uint64_t seed_ = 0;
  std::vector<FaultKind> kinds_;
};

}  // namespace automot::test_support
