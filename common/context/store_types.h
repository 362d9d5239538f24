// Names that SnapshotStore shares with its callers: handles, options, outcomes, observable
// transitions.
#pragma once

#include <array>
#include <cstdint>

#include "common/types/observation.h"
#include "common/types/snapshot_id.h"

namespace automot::context {

// A session's place in the store: an index and a check. 0 is never a valid handle; a handle of a
// closed session stays invalid for ever, even when its slot serves another session.
struct SessionHandle {
  uint32_t slot = 0;
  uint32_t generation = 0;
  bool valid() const { return generation != 0; }
  friend bool operator==(const SessionHandle&, const SessionHandle&) = default;
};

// A registered reader: owns `pins_per_reader` pin slots. May be used from several threads at a
// time.
struct ReaderSlot {
  uint32_t index = 0;
};

struct StoreOptions {
  uint32_t sessions = 1024;       // open at a time
  uint32_t retained = 4;          // K: versions per session reachable by readers; >= 2
  uint32_t max_retained = 16;     // upper limit of a session's own K (simulated latency needs more)
  uint32_t readers = 32;          // registered at a time
  uint32_t pins_per_reader = 16;  // handles that one reader may hold at a time
};

// What a publisher says about a payload; the payload itself may know nothing.
struct VersionInfo {
  SnapshotId id;
  SessionTimeUs capture_time_us = 0;
  // Session time from which LatestVisible may return it: capture + simulated latency. Use the
  // capture time where no latency is simulated.
  SessionTimeUs visible_time_us = 0;
};

// Why a read returned no handle.
enum class Miss : uint8_t {
  kNone = 0,        // there is a handle
  kUnknownSession,  // never opened, closed, or the slot serves another session now
  kNoVersion,       // nothing retained satisfies the request
  kNoPinSlot,       // the reader holds pins_per_reader handles already
  kDraining,        // the store gives no new handles
};

// Why a publication was refused. The version served before keeps serving.
enum class Rejection : uint8_t {
  kNone = 0,
  kUnknownSession,   // closed or never opened
  kWrongSession,     // id.session is not the session's
  kOldEpisode,       // hidden by a reset
  kFutureEpisode,    // an episode that the owner has not begun
  kOldEpoch,         // fenced: a newer producer was attached
  kFutureEpoch,      // an epoch that the owner has not minted
  kOldVersion,       // not newer than the last one accepted in its epoch
  kCaptureNotNewer,  // not newer than the one served
  kDraining,
  kNoCapacity,  // more concurrent publications than sessions
};
inline constexpr int kRejectionCount = 11;

enum class TransitionKind : uint8_t {
  kPublished,   // reachable from now on
  kSuperseded,  // a newer version is the latest; still retained
  kRetired,     // no longer reachable; existing handles keep it
  kFreed,       // last handle gone, payload about to be destroyed by the collector
  kRejected,    // see rejection
  kReset,       // a new episode hid everything before it; id names session and episode
  kClosed,      // the session ended; id names the session
  kDraining,    // no new handles from now on
};

struct Transition {
  TransitionKind kind = TransitionKind::kPublished;
  SnapshotId id;
  SessionTimeUs capture_time_us = 0;
  Rejection rejection = Rejection::kNone;
};

// Counters since the start, and gauges of this moment.
struct StoreStats {
  uint64_t published = 0;
  uint64_t superseded = 0;
  uint64_t retired = 0;
  uint64_t freed = 0;
  std::array<uint64_t, kRejectionCount> rejected{};  // by Rejection
  uint32_t open_sessions = 0;                        // now
  uint32_t live_versions = 0;  // now: reachable, pinned or awaiting collection
  uint32_t pins_in_use = 0;    // now
};

// Sees every transition in order. Called on publishing and collecting threads with the writers'
// lock held, never on a reader: be quick, do not call the store.
class StoreObserver {
 public:
  virtual ~StoreObserver() = default;
  virtual void OnTransition(const Transition& transition) = 0;
};

const char* ToString(Miss miss);
const char* ToString(Rejection rejection);
const char* ToString(TransitionKind kind);

}  // namespace automot::context
