// One vehicle: its lease, episode and ingest state, its place in the snapshot store, and what only
// the planning thread touches.
//
// Threads: `mutex` guards SessionState (handlers, maintenance; never the planning thread).
// PlanningState belongs to the planning thread. Everything else is constant or atomic.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/context/memory_budget.h"
#include "common/context/snapshot_channel.h"
#include "common/context/snapshot_store.h"
#include "common/control/trajectory_follower.h"
#include "services/planning/action_expert.h"
#include "services/planning/lost_refreshes.h"
#include "services/planning/observation_ingest.h"
#include "services/planning/plan_work.h"
#include "services/planning/policy/fallback.h"
#include "services/planning/policy/staleness_policy.h"
#include "services/planning/scheduling/fair_shares.h"
#include "services/planning/session_options.h"

namespace automot::planning {

// What the store holds: the snapshot and its prepared form. Destroyed by the janitor.
struct ServedContext {
  context::SnapshotPtr snapshot;
  std::unique_ptr<const PreparedContext> prepared;
  context::MemoryBudget::Charge charge = {};
};
using ContextStore = context::SnapshotStore<ServedContext>;

// Touched by the planning thread only.
struct PlanningState {
  uint32_t episode = 0;
  bool had_context = false;  // in this episode
  std::optional<LastGoodRoute> last_good;
  RecoveryTracker recovery;
  control::TrajectoryFollower follower;
};

// A client's lease on one version. Shared with plans in flight, so that releasing it never takes a
// version from under one.
struct PinnedContext {
  uint64_t lease = 0;
  SessionTimeUs expires_us = 0;
  ContextStore::Handle handle;
};

// Guarded by Session::mutex.
struct SessionState {
  SessionState(const SessionOptions& options, lidar::HistogramBuilder histogram)
      : ingest(options, std::move(histogram)) {}

  uint64_t lease = 0;  // of the newest writer; 0: not yet given
  uint64_t last_sequence = 0;
  bool closed = false;
  absl::Duration last_activity;  // wall monotonic
  ObservationIngest ingest;
  std::vector<std::shared_ptr<const PinnedContext>> pins;
  uint64_t next_pin_lease = 1;

  // The link to the reasoning producer.
  uint64_t epoch = 0;           // minted last
  uint64_t attached_epoch = 0;  // that the channel accepted last
  context::LinkState link_state = context::LinkState::kDown;
  std::string link_message = "not attached yet";
  bool attach_wanted = false;
  absl::Duration next_attach;  // wall monotonic
  absl::Duration attach_backoff;
  bool moved_away = false;  // another replica of the planning service has attached it

  // STEPPED and LOCKSTEP: the newest observation whose refresh is due and has not come, offered
  // again to the producer of a new epoch. Null: none.
  context::SlowObservationPtr awaited;
  uint64_t awaited_epoch = 0;  // epoch under which the link took it; 0: it has not
};

class Session {
 public:
  Session(std::string name, std::string resume_token, uint64_t key,
          context::SessionHandle store_handle, const SessionOptions& options,
          lidar::HistogramBuilder histogram, std::string client = "")
      : name(std::move(name)),
        resume_token(std::move(resume_token)),
        client(std::move(client)),
        key(key),
        store_handle(store_handle),
        options(options),
        state(options, std::move(histogram)) {}

  // Newest wins: true where a newer plan of this vehicle has been accepted (REALTIME only;
  // semantics 5).
  bool Superseded(const PlanWork& work) const {
    return options.time_mode == TimeMode::kRealtime &&
           newest_sequence.load(std::memory_order_acquire) > work.sequence;
  }

  const std::string name;
  const std::string resume_token;  // where replicas adopt: the secret in it
  const std::string client;  // who opened it, as rpc::ClientIdentityOf has it; empty: not known
  const uint64_t key;        // identity in the store and on the channel
  const context::SessionHandle store_handle;
  const SessionOptions options;

  std::mutex mutex;
  SessionState state ABSL_GUARDED_BY(mutex);

  std::atomic<uint32_t> episode{1};
  std::atomic<uint64_t> newest_sequence{0};
  std::atomic<uint64_t> epoch_in_force{0};     // of the reasoning producer
  std::atomic<uint64_t> announced_version{0};  // newest version seen from it
  LostRefreshes lost_refreshes;                // of this episode; written under `mutex`
  FairShares::Account account;                 // of the planning loop
  // Of the planning loop too: its client's. Set with its first plan, the same from then on.
  std::shared_ptr<FairShares::Account> client_account;
  std::atomic<uint32_t> pending{0};  // plans without an answer
  std::atomic<uint32_t> parked{0};   // of them parked
  std::atomic<uint64_t> plans_answered{0};
  std::atomic<uint64_t> plans_fallback{0};
  std::atomic<uint64_t> snapshots_published{0};
  std::atomic<uint64_t> snapshots_rejected{0};
  std::atomic<bool> recovering{false};

  PlanningState planning;  // planning thread only
};

}  // namespace automot::planning
