#include "services/reasoning/reasoning_metrics.h"

#include <array>

#include "common/logging/log.h"

namespace automot::reasoning {
namespace {

using metrics::RateIndex;
namespace names = metrics::names;

// Label `outcome` of a refresh.
enum Outcome : std::size_t { kPublished, kFailed, kDropped };

}  // namespace

PrometheusReasoningEvents::Refreshes::Refreshes(metrics::Registry* registry)
    : outcomes(registry->AddCounters(names::kRefreshesTotal,
                                     {{"outcome", {"published", "failed", "dropped"}}})),
      lateness(registry->AddHistograms(names::kRefreshLatenessSeconds, &metrics::kLatencyBounds,
                                       {metrics::RateHzLabel()}, metrics::Unused::kHidden)),
      runs(registry->AddCounters(names::kRefreshRunsTotal)),
      decision_failures(registry->AddCounters(names::kDecisionFailuresTotal)),
      vision_cache_hits(registry->AddCounters(names::kVisionCacheHitsTotal)),
      streamed(
          registry->AddCounters(names::kRefreshesStreamedTotal, {{"mode", {"layers", "whole"}}})),
      replaced(registry->AddCounters(names::kSnapshotsReplacedTotal)),
      loans(registry->AddCounters(names::kSharedMemoryLoansTotal,
                                  {{"outcome", {"lent", "waits"}}})) {}

PrometheusReasoningEvents::Sessions::Sessions(metrics::Registry* registry)
    : attached(registry->AddGauges(names::kAttachments)),
      attachments(registry->AddCounters(names::kAttachmentsTotal)),
      fenced(registry->AddCounters(names::kAttachmentsFencedTotal)),
      observations(registry->AddCounters(names::kSlowObservationsTotal)),
      superseded(registry->AddCounters(names::kSlowObservationsSupersededTotal)) {}

PrometheusReasoningEvents::Memory::Memory(metrics::Registry* registry)
    : bytes(registry->AddGauges(names::kSnapshotPoolBytes, {{"state", {"lent", "idle"}}})),
      limit(registry->AddGauges(names::kSnapshotPoolLimitBytes)),
      refusals(registry->AddCounters(names::kSnapshotPoolRefusalsTotal)) {}

PrometheusReasoningEvents::Questions::Questions(metrics::Registry* registry)
    : seconds(registry->AddHistograms(names::kAskSeconds, &metrics::kLatencyBounds)),
      outcomes(registry->AddCounters(names::kAsksTotal, {metrics::CodeLabel()})) {}

PrometheusReasoningEvents::PrometheusReasoningEvents(metrics::Registry* registry,
                                                     const Clock* clock)
    : registry_(registry),
      clock_(clock),
      loop_(registry, "reasoning", {"queue", "encode", "prefill", "decision", "total"}),
      refreshes_(registry),
      sessions_(registry),
      questions_(registry),
      memory_(registry) {}

void PrometheusReasoningEvents::OnReady(const absl::StatusOr<UnderstandingExpertInfo>& expert) {
  loop_.SetReady(expert.ok());
  if (!expert.ok()) {
    AUTOMOT_LOG(kError, "reasoning_not_ready", {{"why", expert.status().ToString()}});
    return;
  }
  const char* const weights = expert->weights_trained ? "trained" : "untrained";
  registry_->AddInfo(
      names::kModelInfo,
      {{"loop", "reasoning"}, {"model_revision", expert->model_revision}, {"weights", weights}});
  AUTOMOT_LOG(kInfo, "reasoning_ready",
              {{"model_revision", expert->model_revision}, {"weights", weights}});
}

void PrometheusReasoningEvents::OnAttached(const context::AttachRequest& owner) {
  sessions_.attached->At().Add(1.0);
  sessions_.attachments->At().Add();
  AUTOMOT_LOG(kInfo, "session_attached",
              {{"session", owner.session_name},
               {"epoch", owner.epoch},
               {"reasoning_rate_hz", owner.reasoning_rate_hz}});
}

void PrometheusReasoningEvents::OnDetached(const context::AttachRequest& owner, bool fenced) {
  sessions_.attached->At().Add(-1.0);
  if (!fenced) {
    AUTOMOT_LOG(kInfo, "session_detached",
                {{"session", owner.session_name}, {"epoch", owner.epoch}});
    return;
  }
  sessions_.fenced->At().Add();
  AUTOMOT_LOG(kWarning, "session_fenced",
              {{"session", owner.session_name}, {"epoch", owner.epoch}});
}

void PrometheusReasoningEvents::OnSubmitted(bool superseded) {
  sessions_.observations->At().Add();
  if (superseded) sessions_.superseded->At().Add();
}

void PrometheusReasoningEvents::OnRefreshBegun(const context::AttachRequest& owner, double queue_s,
                                               double lateness_s) {
  const std::size_t rate = RateIndex(owner.reasoning_rate_hz);
  loop_.ObserveStage(kQueue, rate, queue_s);
  refreshes_.lateness->At({rate}).Observe(lateness_s);
}

void PrometheusReasoningEvents::OnRefreshRun() { refreshes_.runs->At().Add(); }

void PrometheusReasoningEvents::OnPublished(const context::AttachRequest& owner,
                                            const context::ContextSnapshot& snapshot,
                                            uint64_t vision_cache_hits) {
  const context::SnapshotTimings& timings = snapshot.timings;
  const std::size_t rate = RateIndex(owner.reasoning_rate_hz);
  loop_.ObserveStage(kEncode, rate, 1e-3 * timings.encode_ms);
  loop_.ObserveStage(kPrefill, rate, 1e-3 * timings.prefill_ms);
  if (timings.decision_ms > 0.0) loop_.ObserveStage(kDecision, rate, 1e-3 * timings.decision_ms);
  loop_.ObserveStage(kTotal, rate, 1e-3 * timings.total_ms);
  loop_.ObserveSnapshotBytes(snapshot.kv.bytes().size());
  refreshes_.outcomes->At({kPublished}).Add();
  refreshes_.vision_cache_hits->At().Add(vision_cache_hits);
  {
    const std::lock_guard lock(pace_mutex_);
    loop_.ObservePace({.session = owner.session,
                       .episode = snapshot.header.id.episode,
                       .wall_s = absl::ToDoubleSeconds(clock_->Now()),
                       .capture_time_us = snapshot.header.capture_time_us,
                       .rate_hz = owner.reasoning_rate_hz,
                       .real_time = !owner.lossless});
  }
  AUTOMOT_LOG(kDebug, "snapshot_published",
              {{"session", owner.session_name},
               {"epoch", owner.epoch},
               {"version", snapshot.header.id.version},
               {"total_ms", timings.total_ms}});
}

void PrometheusReasoningEvents::OnRefreshFailed(const context::AttachRequest& owner,
                                                const absl::Status& why) {
  // Dropped on purpose: a reset or a newer epoch came while it ran.
  if (absl::IsAborted(why)) {
    refreshes_.outcomes->At({kDropped}).Add();
    AUTOMOT_LOG(kInfo, "refresh_dropped",
                {{"session", owner.session_name}, {"why", why.ToString()}});
    return;
  }
  refreshes_.outcomes->At({kFailed}).Add();
  AUTOMOT_LOG(kWarning, "refresh_failed",
              {{"session", owner.session_name}, {"why", why.ToString()}});
}

void PrometheusReasoningEvents::OnDecisionFailed(const context::AttachRequest& owner,
                                                 const absl::Status& why) {
  refreshes_.decision_failures->At().Add();
  AUTOMOT_LOG(kWarning, "decision_failed",
              {{"session", owner.session_name}, {"why", why.ToString()}});
}

void PrometheusReasoningEvents::OnStreamed(LayerStreaming::Mode mode) {
  refreshes_.streamed->At({static_cast<std::size_t>(mode)}).Add();
  if (last_mode_.exchange(mode, std::memory_order_relaxed) == mode) return;
  const bool layers = mode == LayerStreaming::Mode::kLayers;
  AUTOMOT_LOG(kDebug, "layer_streaming_changed", {{"mode", layers ? "layers" : "whole"}});
}

void PrometheusReasoningEvents::OnReplaced() { refreshes_.replaced->At().Add(); }

void PrometheusReasoningEvents::OnLoan(bool lent) { refreshes_.loans->At({lent ? 0U : 1U}).Add(); }

void PrometheusReasoningEvents::OnMemory(const context::KvBufferPool::Stats& pool) {
  const std::lock_guard lock(memory_mutex_);
  memory_.bytes->At({0}).Set(static_cast<double>(pool.lent_bytes));
  memory_.bytes->At({1}).Set(static_cast<double>(pool.mapped_bytes - pool.lent_bytes));
  memory_.limit->At().Set(static_cast<double>(pool.limit_bytes));
  memory_.refusals->At().Add(pool.refusals - memory_.refusals_counted);
  memory_.refusals_counted = pool.refusals;
}

void PrometheusReasoningEvents::OnAnswered(double seconds, const absl::Status& status) {
  questions_.seconds->At().Observe(seconds);
  questions_.outcomes->At({metrics::CodeIndex(status.raw_code())}).Add();
  if (!status.ok()) {
    AUTOMOT_LOG(kInfo, "question_not_answered", {{"why", status.ToString()}});
  }
}

}  // namespace automot::reasoning
