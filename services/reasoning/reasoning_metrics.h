// ReasoningEvents as Prometheus series and structured log lines. docs/metrics.md says what each
// series means and when it moves.
//
// Thread-safe. May share its registry with the planning service of the same process.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "common/metrics/loop_metrics.h"
#include "common/metrics/registry.h"
#include "common/time/clock.h"
#include "services/reasoning/layer_streaming.h"
#include "services/reasoning/reasoning_events.h"

namespace automot::reasoning {

class PrometheusReasoningEvents final : public ReasoningEvents {
 public:
  // `registry` and `clock` must outlive the events.
  PrometheusReasoningEvents(metrics::Registry* registry, const Clock* clock);

  void OnReady(const absl::StatusOr<UnderstandingExpertInfo>& expert) override;
  void OnAttached(const context::AttachRequest& owner) override;
  void OnDetached(const context::AttachRequest& owner, bool fenced) override;
  void OnSubmitted(bool superseded) override;
  void OnRefreshBegun(const context::AttachRequest& owner, double queue_s,
                      double lateness_s) override;
  void OnRefreshRun() override;
  void OnPublished(const context::AttachRequest& owner, const context::ContextSnapshot& snapshot,
                   uint64_t vision_cache_hits) override;
  void OnRefreshFailed(const context::AttachRequest& owner, const absl::Status& why) override;
  void OnDecisionFailed(const context::AttachRequest& owner, const absl::Status& why) override;
  void OnStreamed(LayerStreaming::Mode mode) override;
  void OnReplaced() override;
  void OnLoan(bool lent) override;
  void OnMemory(const context::KvBufferPool::Stats& pool) override;
  void OnAnswered(double seconds, const absl::Status& status) override;

 private:
  // Values of label `stage`.
  enum Stage : uint8_t { kQueue, kEncode, kPrefill, kDecision, kTotal };
  struct Refreshes {
    explicit Refreshes(metrics::Registry* registry);
    metrics::CounterFamily* const outcomes;
    metrics::HistogramFamily* const lateness;
    metrics::CounterFamily* const runs;
    metrics::CounterFamily* const decision_failures;
    metrics::CounterFamily* const vision_cache_hits;
    metrics::CounterFamily* const streamed;
    metrics::CounterFamily* const replaced;
    metrics::CounterFamily* const loans;
  };
  struct Sessions {
    explicit Sessions(metrics::Registry* registry);
    metrics::GaugeFamily* const attached;
    metrics::CounterFamily* const attachments;
    metrics::CounterFamily* const fenced;
    metrics::CounterFamily* const observations;
    metrics::CounterFamily* const superseded;
  };
  struct Memory {
    explicit Memory(metrics::Registry* registry);
    metrics::GaugeFamily* const bytes;
    metrics::GaugeFamily* const limit;
    metrics::CounterFamily* const refusals;
    uint64_t refusals_counted = 0;  // under memory_mutex_
  };
  struct Questions {
    explicit Questions(metrics::Registry* registry);
    metrics::HistogramFamily* const seconds;
    metrics::CounterFamily* const outcomes;
  };

  metrics::Registry* const registry_;
  const Clock* const clock_;
  metrics::LoopMetrics loop_;
  Refreshes refreshes_;
  Sessions sessions_;
  Questions questions_;
  std::atomic<LayerStreaming::Mode> last_mode_{LayerStreaming::Mode::kLayers};
  std::mutex memory_mutex_;
  Memory memory_;
  std::mutex pace_mutex_;  // for loop_.ObservePace
};

}  // namespace automot::reasoning
