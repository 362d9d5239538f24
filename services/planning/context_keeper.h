// Keeps every session attached to the reasoning producer and its snapshots in the store. Steps 4
// and 5 of a tick.
//
// Threads: link threads call the receivers; handlers and maintenance call the rest. Never the
// planning thread.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "common/context/snapshot_channel.h"
#include "common/time/clock.h"
#include "services/planning/action_expert.h"
#include "services/planning/planning_metrics.h"
#include "services/planning/session.h"

namespace automot::planning {

class ContextKeeper {
 public:
  // All pointers outlive the keeper. `on_visible` is called after each publication.
  ContextKeeper(ContextStore* store, ActionExpert* expert, context::SnapshotChannel* channel,
                const Clock* clock, PlanningMetrics* metrics, std::function<void()> on_visible);
  ~ContextKeeper();

  // Mints an epoch, fences older producers, and asks for snapshots. A failure is retried by
  // Maintain.
  void Attach(const std::shared_ptr<Session>& session);
  // Attaches again where the link went down, with a bounded exponential delay.
  void Maintain(const std::shared_ptr<Session>& session);
  void Detach(const Session& session);

 private:
  class Receiver;

  void OnSnapshot(Session& session, context::SnapshotPtr snapshot);
  void OnLinkState(Session& session, context::LinkState state, const absl::Status& why);

  ContextStore* const store_;
  ActionExpert* const expert_;
  context::SnapshotChannel* const channel_;
  const Clock* const clock_;
  PlanningMetrics* const metrics_;
  const std::function<void()> on_visible_;

  std::mutex mutex_;
  absl::flat_hash_map<uint64_t, std::unique_ptr<Receiver>> receivers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace automot::planning
