// Keeps every session attached to the reasoning producer and its snapshots in the store. Steps 4
// and 5 of a tick.
//
// Threads: link threads call the receivers; handlers and maintenance call the rest. Never the
// planning thread. Order of locks: a link's, then Session::mutex, then the channel's own.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/context/context_layout.h"
#include "common/context/kv_buffer_pool.h"
#include "common/context/memory_budget.h"
#include "common/context/snapshot_channel.h"
#include "common/time/clock.h"
#include "services/planning/action_expert.h"
#include "services/planning/plan_recorder.h"
#include "services/planning/planning_metrics.h"
#include "services/planning/session.h"

namespace automot::planning {

class ContextKeeper {
 public:
  struct Options {
    // Asked of the producer; absent: as it computes them.
    std::optional<context::ContextLayout::ElementType> element_type;
    context::KvBufferPool::Options pool;  // of dequantised contexts
    // Epoch of an attachment, where it shall not be newer than `last` and the calendar clock.
    std::function<uint64_t(const Session& session, uint64_t last)> mint_epoch;
    // Other replicas adopt sessions: an epoch that was in force and is fenced is another's session.
    bool sessions_move = false;
    PlanRecorder* recorder = nullptr;  // outlives the keeper; never null there
  };

  // All pointers outlive the keeper. `on_event` is called after each publication, and when a
  // refresh that plans may wait for was lost.
  ContextKeeper(ContextStore* store, context::MemoryBudget* memory, ActionExpert* expert,
                context::SnapshotChannel* channel, const Clock* clock, PlanningMetrics* metrics,
                const Options& options, std::function<void()> on_event);
  ~ContextKeeper();

  // Mints an epoch, fences older producers, and asks for snapshots. A failure is retried by
  // Maintain. Nothing happens where the session is closed already.
  void Attach(const std::shared_ptr<Session>& session);
  // Attaches again where the link went down, with a bounded exponential delay.
  void Maintain(const std::shared_ptr<Session>& session);
  // For good: the session is closed before.
  void Detach(const Session& session);

 private:
  class Link;

  std::shared_ptr<Link> LinkOf(const std::shared_ptr<Session>& session);
  void AttachUnder(Link& link);
  void OnSnapshot(Session& session, context::SnapshotPtr snapshot);
  std::size_t PreparedBytes(const context::ContextSnapshot& snapshot) const;
  absl::StatusOr<std::unique_ptr<const PreparedContext>> Prepare(context::SnapshotPtr* snapshot);
  absl::StatusOr<context::MemoryBudget::Charge> Charge(const Session& session, std::size_t bytes,
                                                       context::MemoryBudget::Refusal* refusal);
  void MakeRoom(const Session& session);
  void MakeRoomEverywhere();
  void OnPublished(Session& session, const context::VersionInfo& info);
  void OnRejected(Session& session, const context::VersionInfo& info, std::string_view why);
  void OnRefreshFailed(Session& session, SessionTimeUs capture_time_us, const absl::Status& why);
  void NoticeLoss(Session& session, SessionTimeUs capture_time_us);
  void OnLinkState(Session& session, context::LinkState state, const absl::Status& why);
  void OfferAgain(SessionState& state);

  ContextStore* const store_;
  context::MemoryBudget* const memory_;
  ActionExpert* const expert_;
  context::SnapshotChannel* const channel_;
  const Clock* const clock_;
  PlanningMetrics* const metrics_;
  const Options options_;
  const std::function<void()> on_event_;

  context::KvBufferPool pool_;

  std::mutex mutex_;
  absl::flat_hash_map<uint64_t, std::shared_ptr<Link>> links_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace automot::planning
