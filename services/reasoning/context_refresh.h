// Makes one context snapshot with the understanding expert: vision features, prompt, prefill layer
// by layer, decision.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/context/context_snapshot.h"
#include "common/context/kv_buffer_pool.h"
#include "common/time/clock.h"
#include "services/reasoning/refresh_job.h"
#include "services/reasoning/understanding_expert.h"

namespace automot::reasoning {

// Vision features of `frames`, encoded where `cache` has none. Adds to `cache_hits` the encodings
// saved.
absl::StatusOr<VisionFeatures> EncodeFrames(const std::vector<CameraFramePtr>& frames,
                                            UnderstandingExpert& expert, VisionCache& cache,
                                            uint64_t* cache_hits);

// Not thread-safe: runs on the thread that owns the expert.
class ContextRefresh {
 public:
  struct Hooks {
    // Names the snapshot when its layers are about to be computed; empty where the job's episode or
    // epoch is over.
    std::function<std::optional<SnapshotId>()> begin;
    // Layers [0, layers_ready) of the snapshot are final.
    std::function<void(const context::SnapshotPtr& building, int layers_ready)> on_layers;
  };
  struct Result {
    context::SnapshotPtr snapshot;
    absl::Status
        decision_status;  // why the snapshot has no decision although decisions are published
    uint64_t cache_hits = 0;
  };

  ContextRefresh(UnderstandingExpert* expert, context::KvBufferPool* pool, const Clock* clock,
                 bool publish_decisions)
      : expert_(expert), pool_(pool), clock_(clock), publish_decisions_(publish_decisions) {}

  // ABORTED where `hooks.begin` names nothing; the expert's or the pool's error otherwise.
  absl::StatusOr<Result> Run(const RefreshJob& job, const Hooks& hooks);

 private:
  void FillHeader(const RefreshJob& job, const ContextPlan& plan,
                  context::SnapshotHeader* header) const;
  void Decide(const RefreshJob& job, const ContextPlan& plan, context::ContextSnapshot* snapshot,
              Result* result);

  UnderstandingExpert* const expert_;
  context::KvBufferPool* const pool_;
  const Clock* const clock_;
  const bool publish_decisions_;
};

}  // namespace automot::reasoning
