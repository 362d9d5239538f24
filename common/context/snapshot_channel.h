// The seam between a session's planning owner and the reasoning producer: observations out,
// snapshots in. Three lanes implement it: in one process (the snapshot is handed over by pointer),
// shared memory on one host, and gRPC. The lane in use never changes behind the caller's back.
//
// Threads: every method may be called from any thread, none of them from the planning thread.
// Attach, Submit and Detach never block on the peer. Receivers are called on link threads.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/context/context_layout.h"
#include "common/context/context_snapshot.h"
#include "common/context/slow_observation.h"
#include "common/types/snapshot_id.h"

namespace automot::context {

enum class Lane : uint8_t { kInProcess, kSharedMemory, kGrpc };
enum class LinkState : uint8_t { kDown, kUp, kDraining };

// Names as metrics and reports spell them: in_process, shared_memory, grpc; down, up, draining.
constexpr const char* ToString(Lane lane) {
  switch (lane) {
    case Lane::kInProcess:
      return "in_process";
    case Lane::kSharedMemory:
      return "shared_memory";
    case Lane::kGrpc:
      return "grpc";
  }
  return "unknown";
}
constexpr const char* ToString(LinkState state) {
  switch (state) {
    case LinkState::kDown:
      return "down";
    case LinkState::kUp:
      return "up";
    case LinkState::kDraining:
      return "draining";
  }
  return "unknown";
}

// Implemented by the planning owner. Called on link threads, one call at a time per session, never
// on a planning thread; must not block and must not call back into the channel's Detach.
class SnapshotReceiver {
 public:
  virtual ~SnapshotReceiver() = default;
  // A complete, verified snapshot of an attached session. Fencing is the store's business.
  virtual void OnSnapshot(SnapshotPtr snapshot) = 0;
  // A refresh that was due produced nothing (dropped, shed, failed): the old snapshot keeps
  // serving.
  virtual void OnRefreshFailed(uint64_t session, SessionTimeUs capture_time_us,
                               const absl::Status& why) = 0;
  // The link to the producer changed state; `why` is OK for an orderly change.
  virtual void OnLinkState(LinkState state, const absl::Status& why) = 0;
};

// What the planning owner asks of the producer for one session.
struct AttachRequest {
  uint64_t session = 0;
  uint32_t episode = 0;
  uint64_t epoch = 0;        // minted by the planning owner for this attach; fences older producers
  std::string session_name;  // for logs
  double reasoning_rate_hz = 2.0;
  // Age of a context, session time, from which plans do without it: what the producer orders the
  // refreshes of its sessions by. 0: unknown.
  SessionTimeUs staleness_budget_us = 0;
  ContextLayout::Kind layout_kind = ContextLayout::Kind::kCompact;
  // Absent: as the producer computes them. A quantised one is made from that; another one is
  // refused.
  std::optional<ContextLayout::ElementType> element_type;
  bool lossless = false;       // LOCKSTEP: newest-wins, dropping and shedding are off (semantics 5)
  bool want_layers = true;     // false: decisions only (header and trailer)
  std::string model_revision;  // required revision; empty: any
};

// Why a lane between processes refused a snapshot, as metrics spell it: AssemblyRefusal's names,
// then those of a place in shared memory, then what could not be read at all.
inline constexpr std::array kLinkRefusals = {
    "header",        "no_buffer",   "unexpected",     "chunk_bounds", "duplicate_chunk",
    "missing_chunk", "chunk_hash",  "incomplete",     "decision",     "digest",
    "reuse_unknown", "reuse_place", "unknown_region", "bad_region",   "stale_generation",
    "out_of_bounds", "malformed"};

// Why a session went on at another producer than before: the one it had announced its end, ended
// without a word, or is not among the resolved ones any more.
enum class RehomeReason : uint8_t { kDraining, kDied, kRemoved };
inline constexpr std::array kRehomeReasons = {"draining", "died",
                                              "removed"};  // as metrics spell it

// Monotonic counters since the channel was made, except where said.
struct LinkStats {
  LinkState state = LinkState::kDown;  // now
  uint64_t observations_submitted = 0;
  uint64_t observations_superseded = 0;  // replaced by a newer one before refresh work began
  uint64_t observations_dropped = 0;     // bound reached, even for history
  uint64_t snapshots_received = 0;
  uint64_t snapshots_refused = 0;                         // assembly or verification failed
  std::array<uint64_t, kLinkRefusals.size()> refusals{};  // the same, by reason
  uint64_t bytes_received = 0;
  uint64_t bytes_copied = 0;  // of keys and values, by the receiver
  uint64_t bytes_reused = 0;  // of chunks that the consumer had already
  uint64_t reconnects = 0;
  std::array<uint64_t, kRehomeReasons.size()> rehomes{};  // of sessions, by reason
};

class SnapshotChannel {
 public:
  virtual ~SnapshotChannel() = default;

  // Asks the producer to serve `request.session` from now on, under the given epoch; an earlier
  // attach of the session is replaced. `receiver` must outlive the attachment. Returns once the
  // request is accepted locally; the producer's answer arrives through the receiver.
  // INVALID_ARGUMENT: a field. RESOURCE_EXHAUSTED: the producer's or the channel's session limit.
  virtual absl::Status Attach(const AttachRequest& request, SnapshotReceiver* receiver) = 0;

  // Hands an observation over; bounded, never blocks. Among refresh candidates the newest wins;
  // frames always reach the history. NOT_FOUND: the session is not attached. RESOURCE_EXHAUSTED:
  // lossless session with a full queue (back pressure). UNAVAILABLE: the link is down (kept for the
  // replay).
  virtual absl::Status Submit(SlowObservationPtr observation) = 0;

  // Starts a new episode of an attached session: history is dropped, slow work of older episodes is
  // discarded when it would publish. NOT_FOUND: the session is not attached.
  virtual absl::Status Reset(uint64_t session, uint32_t episode) = 0;

  // Ends the attachment. When it returns the receiver is not being called for this session and will
  // not be again. Unknown sessions are ignored.
  virtual void Detach(uint64_t session) = 0;

  virtual Lane lane() const = 0;
  virtual LinkStats stats() const = 0;
};

}  // namespace automot::context
