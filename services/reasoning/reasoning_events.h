// What the reasoning engine tells whoever measures and logs it. Every transition of a refresh is
// one event.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/context/context_snapshot.h"
#include "common/context/kv_buffer_pool.h"
#include "common/context/snapshot_channel.h"
#include "services/reasoning/layer_streaming.h"
#include "services/reasoning/understanding_expert.h"

namespace automot::reasoning {

// Called from any thread of the engine; must not block and must not call the engine: OnSubmitted
// runs under its lock. The default does nothing. `owner` is what the session's consumer asked for.
class ReasoningEvents {
 public:
  virtual ~ReasoningEvents() = default;

  // The expert is loaded and warmed, or never will be.
  virtual void OnReady(const absl::StatusOr<UnderstandingExpertInfo>& /*expert*/) {}
  virtual void OnAttached(const context::AttachRequest& /*owner*/) {}
  // `fenced`: another consumer took the session under a newer epoch.
  virtual void OnDetached(const context::AttachRequest& /*owner*/, bool /*fenced*/) {}
  virtual void OnSubmitted(bool /*superseded*/) {}
  // `lateness_s`: begin of the refresh after its deadline, 0 where in time.
  virtual void OnRefreshBegun(const context::AttachRequest& /*owner*/, double /*queue_s*/,
                              double /*lateness_s*/) {}
  // A run of the expert begins, with the refreshes that OnRefreshBegun has named since the last
  // one.
  virtual void OnRefreshRun() {}
  virtual void OnPublished(const context::AttachRequest& /*owner*/,
                           const context::ContextSnapshot& /*snapshot*/,
                           uint64_t /*vision_cache_hits*/) {}
  // ABORTED where the episode or epoch ended meanwhile.
  virtual void OnRefreshFailed(const context::AttachRequest& /*owner*/,
                               const absl::Status& /*why*/) {}
  virtual void OnDecisionFailed(const context::AttachRequest& /*owner*/,
                                const absl::Status& /*why*/) {}
  // The layers of a refresh left one by one, or together.
  virtual void OnStreamed(LayerStreaming::Mode /*mode*/) {}
  // A complete snapshot gave way to a newer one before its consumer was sent any of it.
  virtual void OnReplaced() {}
  // A snapshot was lent to a consumer of shared memory, or has to wait until that has room.
  virtual void OnLoan(bool /*lent*/) {}
  // A refresh ended, and this is what snapshots take now.
  virtual void OnMemory(const context::KvBufferPool::Stats& /*pool*/) {}
  // A scene question ended: refused, or after `seconds` from its arrival.
  virtual void OnAnswered(double /*seconds*/, const absl::Status& /*status*/) {}

  static ReasoningEvents* None() {
    static ReasoningEvents none;
    return &none;
  }
};

}  // namespace automot::reasoning
