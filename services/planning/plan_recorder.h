// What the engine tells of its work while it serves, so that a log can be kept from which a replay
// does the same again. The base class records nothing: an engine without a recorder uses it as it
// is.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "common/context/context_snapshot.h"
#include "common/types/observation.h"
#include "common/types/snapshot_id.h"

namespace automot::planning {

struct PlanCall;
struct PlanWork;
class Session;

// Called by handlers, link threads and the responder, never by the planning thread. Must not wait
// for storage: some calls are made under the session's mutex, which is what gives a session's
// requests their order. Arguments are borrowed for the call, snapshots are shared.
class PlanRecorder {
 public:
  virtual ~PlanRecorder() = default;

  // True: handlers keep each request in its encoded form (PlanCall::encoded).
  virtual bool wants_requests() const { return false; }

  // `lease` is its writer's: of a new session, or higher than before where an open one was taken
  // over.
  virtual void OnSessionOpened(const Session&, uint64_t /*lease*/) {}
  virtual void OnSessionReset(const Session&, uint32_t /*episode*/) {}
  virtual void OnSessionClosed(const Session&) {}

  // The session asks a producer for snapshots under a new epoch; older ones are fenced off.
  virtual void OnAttached(const Session&, uint32_t /*episode*/, uint64_t /*epoch*/) {}
  // A snapshot became visible, in the form in which it was received.
  virtual void OnSnapshot(const Session&, const context::SnapshotPtr&) {}

  virtual void OnContextPinned(const Session&, const SnapshotId&, SessionTimeUs /*ttl_us*/) {}
  virtual void OnContextReleased(const Session&, uint64_t /*context_lease*/) {}

  // An observation was taken in, or refused with `status`; in the order of the session.
  virtual void OnPlanTaken(const Session&, const PlanCall&, const absl::Status& /*status*/) {}
  // The plan of an observation that was taken in has ended: in the order of the planning thread's
  // ticks, those apart that were refused for load.
  virtual void OnPlanEnded(const PlanWork&, const absl::Status& /*status*/) {}
};

}  // namespace automot::planning
