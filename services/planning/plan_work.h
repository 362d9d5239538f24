// One plan on its way through the service: made by a handler, planned on the planning thread,
// answered on a responder thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/context/store_types.h"
#include "common/types/observation.h"
#include "common/types/trajectory.h"
#include "services/planning/policy/context_travel.h"
#include "services/planning/scheduling/deadline_demand.h"
#include "services/planning/session_options.h"

namespace automot::planning {

class Session;
struct PinnedContext;

// Which context a plan wants (semantics 4).
struct ContextChoice {
  enum class Kind : uint8_t { kLatest, kExactly, kAtLeast };
  Kind kind = Kind::kLatest;
  SnapshotId id;  // kExactly: all of it; kAtLeast: the version
};

// Why a plan has no answer. Static text only, so that refusing allocates nothing on the planning
// thread; the responder writes the message.
enum class PlanFailure : uint8_t {
  kNone,
  kDeadline,         // DEADLINE_EXCEEDED before the work ran
  kCancelled,        // CANCELLED
  kSuperseded,       // ABORTED: a newer request of the same vehicle came (newest wins)
  kEpisodeEnded,     // ABORTED: the session was reset meanwhile
  kSessionClosed,    // ABORTED
  kExpired,          // FAILED_PRECONDITION: on_expired = REJECT
  kNoContext,        // FAILED_PRECONDITION: on_no_context or on_expired = REJECT
  kContextNotFound,  // NOT_FOUND: exactly(id)
  kContextTooOld,    // FAILED_PRECONDITION: at_least(version)
  kExpert,           // INTERNAL: the action expert failed
};

// The filled answer; plain values of fixed size.
struct PlanResult {
  PlanFailure failure = PlanFailure::kNone;
  Trajectory trajectory;
  std::optional<Decision> decision;          // the tick's
  std::optional<Decision> context_decision;  // published with the context
  uint8_t agreement = 0;                     // control::DecisionAgreement
  uint8_t consistency = 0;                   // control::DecisionConsistency
  std::optional<ControlCommand> control;
  ReasonSet reasons;
  SnapshotId snapshot;                    // version 0: none used
  SessionTimeUs snapshot_capture_us = 0;  // valid with a snapshot
  uint64_t version_gap = 0;               // valid with a snapshot
  // Episode, producer's epoch and newest version of it that the tick knew of; version 0: none.
  SnapshotId newest_seen;
  std::optional<ContextTravel> travel;
  double queue_s = 0.0;
  double parked_s = 0.0;
  double bev_encoder_s = 0.0;
  double action_expert_s = 0.0;
  double tick_s = 0.0;  // on the planning thread, with the plans that shared the run
};

// Owned by whoever holds the pointer: handler, then queue, planning thread, responder.
struct PlanWork {
  std::shared_ptr<Session> session;
  uint64_t lease = 0;
  uint64_t sequence = 0;
  uint32_t episode = 0;

  SessionTimeUs capture_time_us = 0;
  EgoState ego;
  RouteTarget target;
  CameraFrame camera;  // as the BEV encoder wants it: round trip done; image may be null
  std::shared_ptr<const LidarHistogram> lidar;  // null: none
  std::shared_ptr<const BevFeature> bev_feature;
  std::optional<SessionTimeUs> camera_age_us;
  std::optional<SessionTimeUs> lidar_age_us;
  ReasonSet ingest_reasons;

  ContextChoice choice;
  std::shared_ptr<const PinnedContext> pinned;  // the choice, where it is pinned
  OnExpired on_expired = OnExpired::kFallback;
  // The plan is parked until a snapshot at least this new is visible (STEPPED and LOCKSTEP).
  std::optional<SessionTimeUs> required_capture_us;

  absl::Duration arrived;   // wall monotonic: the request came
  absl::Duration enqueued;  // wall monotonic: handed to the planning thread
  uint64_t arrival = 0;     // order of arrival at the planning thread
  absl::Duration deadline = absl::InfiniteDuration();  // wall monotonic
  // Wall monotonic: the place in the order of deadlines where it is earlier than the deadline's.
  // Nothing ends when it passes.
  absl::Duration order_by = absl::InfiniteDuration();
  absl::Duration park_limit =
      absl::InfiniteDuration();  // wall monotonic: parked no longer than this
  std::optional<absl::Duration> parked_at;
  // Of the planning loop: where the plan counts while it waits to run.
  DeadlineDemand::Place place;
  bool waits = false;
  double ingest_s = 0.0;
  std::shared_ptr<std::atomic<bool>> cancelled;  // may be null

  PlanResult result;
  absl::Status expert_status;           // with kExpert: what the expert said
  std::function<void(PlanWork&)> done;  // called once, on a responder thread
};

}  // namespace automot::planning
