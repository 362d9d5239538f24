// What the planning service counts. The base class counts nothing: tests and tools use it as it is.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "common/context/context_snapshot.h"
#include "common/context/snapshot_channel.h"
#include "common/rpc/client_quotas.h"
#include "common/types/trajectory.h"
#include "services/planning/plan_work.h"

namespace automot::planning {

// Thread-safe. ObserveTick is called on the planning thread: implementations only touch per-metric
// atomics there.
class PlanningMetrics {
 public:
  virtual ~PlanningMetrics() = default;

  // Planning thread, at the end of each answered tick.
  virtual void ObserveTick(const PlanWork&) {}

  // Responder thread, once for each accepted plan.
  virtual void ObservePlan(const PlanWork&) {}
  // A plan that was refused before it was accepted.
  virtual void CountRefusal(absl::StatusCode) {}

  // Link threads.
  virtual void ObserveSnapshot(const context::ContextSnapshot&) {}
  virtual void CountRejectedSnapshot(std::string_view /*reason*/) {}
  virtual void CountRefreshFailure() {}
  virtual void CountLinkState(context::LinkState) {}
  virtual void CountForwardFailure(absl::StatusCode) {}

  virtual void SetSessions(uint32_t) {}
  virtual void CountEpisode() {}
  virtual void CountAdoption() {}

  // A call that was refused because its client had used up a quota.
  virtual void CountQuotaRefusal(rpc::ClientQuota) {}
  // A connection that was closed because there are as many as there may be.
  virtual void CountConnectionRefusal() {}
};

}  // namespace automot::planning
