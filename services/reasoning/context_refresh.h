// Makes context snapshots with the understanding expert: vision features, prompt, prefill layer by
// layer, decision. Several sessions' at once share the prefill.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
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
  struct Result {
    context::SnapshotPtr snapshot;
    absl::Status
        decision_status;  // why the snapshot has no decision although decisions are published
    uint64_t cache_hits = 0;
  };
  struct Hooks {
    // Whether the job's episode and epoch are still in force; asked before the job costs anything.
    std::function<bool(const RefreshJob&)> wanted;
    // Names the job's snapshot when its layers are about to be computed; empty where the job's
    // episode or epoch is over.
    std::function<std::optional<SnapshotId>(const RefreshJob&)> begin;
    // Layers [0, layers_ready) of the job's snapshot are final.
    std::function<void(const RefreshJob&, const context::SnapshotPtr& building, int layers_ready)>
        on_layers;
    // The job's end, once for each. ABORTED where the job is not wanted any more; else the expert's
    // or the pool's error.
    std::function<void(const RefreshJob&, const absl::StatusOr<Result>&)> end;
  };

  ContextRefresh(UnderstandingExpert* expert, context::KvBufferPool* pool, const Clock* clock,
                 bool publish_decisions)
      : expert_(expert), pool_(pool), clock_(clock), publish_decisions_(publish_decisions) {}

  // What is wrong with one job ends that job alone, before the run that they share; an error of
  // that run ends all.
  void Run(absl::Span<const RefreshJob> jobs, const Hooks& hooks);

 private:
  // A job on its way.
  struct Part {
    const RefreshJob* job = nullptr;
    absl::Duration begin;  // monotonic wall time
    VisionFeatures features;
    ContextPlan plan;
    std::shared_ptr<context::ContextSnapshot> building;
    Result result;
  };

  absl::StatusOr<Part> Prepare(const RefreshJob& job, const Hooks& hooks);
  absl::Status Prefill(absl::Span<const Part> parts, const Hooks& hooks);
  void FillHeader(const RefreshJob& job, const ContextPlan& plan,
                  context::SnapshotHeader* header) const;
  void Decide(Part& part);

  UnderstandingExpert* const expert_;
  context::KvBufferPool* const pool_;
  const Clock* const clock_;
  const bool publish_decisions_;
};

}  // namespace automot::reasoning
