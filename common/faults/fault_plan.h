// Faults of a transfer, replayable from a seed: what a broken network, a dying producer or a bug
// may do to the messages of one snapshot or of several. The receiver must answer each with an error
// of a known type or with the exact bytes. Used by tests, and by automot-reasoning --chaos.
//
// Freezing and killing whole processes is the runner's part, drawn from the same seed
// (docs/demo.md). Plain values, any thread; the same seed and messages give the same result on
// every machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/faults/wire_message.h"

namespace automot::faults {

enum class FaultKind : uint8_t {
  kNone,             // control: must be delivered
  kDrop,             // one message is missing
  kDelay,            // one message comes after those that should follow it
  kDuplicate,        // one message comes twice
  kReorder,          // two messages change places
  kTruncate,         // one chunk ends early
  kFlipBits,         // one to eight bits of one chunk's bytes
  kCorruptMetadata,  // a field of a chunk's description, the header or the trailer
  kSwapLayers,       // two chunks exchange bytes and hashes and keep their places
  kReplay,           // a whole snapshot comes once more
  kStaleEpoch,       // everything comes from a fenced producer
  kStopAtByte,       // the producer is killed after a number of payload bytes
};
inline constexpr int kFaultKindCount = 12;
const char* ToString(FaultKind kind);

struct FaultedMessages {
  std::vector<WireMessage> messages;  // as they arrive
  std::vector<WireMessage> late;      // delayed beyond `messages`: they come before the next ones
  bool killed = false;                // nothing comes after `messages`
  std::vector<FaultKind> injected;    // without those that found nothing to change
};

// One to three faults drawn from a seed, applied in turn.
class FaultPlan {
 public:
  static FaultPlan FromSeed(uint64_t seed);
  static FaultPlan Of(FaultKind kind, uint64_t seed);

  FaultedMessages Inject(std::vector<WireMessage> messages) const;
  // The same where nothing follows: what is late comes last.
  std::vector<WireMessage> Apply(std::vector<WireMessage> messages) const;

  const std::vector<FaultKind>& kinds() const { return kinds_; }
  // "seed=7 drop,flip_bits": enough to replay.
  std::string ToString() const;

 private:
  uint64_t seed_ = 0;
  std::vector<FaultKind> kinds_;
};

}  // namespace automot::faults
