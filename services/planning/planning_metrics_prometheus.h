// PlanningMetrics as Prometheus series. docs/metrics.md says what each means and when it moves.
//
// Thread-safe. ObserveTick writes atomics and the pace of the planning thread's sessions: no lock,
// no allocation. May share its registry with the reasoning service of the same process.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "common/context/memory_budget.h"
#include "common/metrics/loop_metrics.h"
#include "common/metrics/registry.h"
#include "common/time/clock.h"
#include "services/planning/action_expert.h"
#include "services/planning/planning_loop.h"
#include "services/planning/planning_metrics.h"
#include "services/planning/recording/recording_stats.h"

namespace automot::planning {

class PrometheusPlanningMetrics final : public PlanningMetrics {
 public:
  // Asked for at each scrape, on the scrape's thread; each may be empty.
  struct Sources {
    std::function<PlanningLoop::Load()> load;                        // of the engine
    std::function<context::LinkStats()> link_stats;                  // of the channel
    std::function<context::MemoryBudget::Stats()> memory = nullptr;  // of the engine
    std::function<RecordingStats()> recording = nullptr;             // with --record
  };

  // `registry` and `clock` must outlive the metrics.
  PrometheusPlanningMetrics(metrics::Registry* registry, const Clock* clock);

  // What is known once the service is up. Once.
  void Describe(const ActionExpertInfo& model, context::Lane lane);
  void SetReady(bool ready) { loop_.SetReady(ready); }

  // Connects sources for as long as it lives: destroy it before what they refer to. Its end waits
  // for a scrape that is calling them. One at a time.
  class Connection {
   public:
    Connection(PrometheusPlanningMetrics* metrics, const Sources& sources) : metrics_(metrics) {
      metrics_->SetSources(sources);
    }
    ~Connection() { metrics_->SetSources({}); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

   private:
    PrometheusPlanningMetrics* const metrics_;
  };

  void ObserveTick(const PlanWork& work) override;
  void ObservePlan(const PlanWork& work) override;
  void CountRefusal(absl::StatusCode code) override;

  void ObserveSnapshot(const context::ContextSnapshot& snapshot) override;
  void CountRejectedSnapshot(std::string_view reason) override;
  void CountRefreshFailure() override;
  void CountLinkState(context::LinkState state) override;
  void CountForwardFailure(absl::StatusCode code) override;

  void SetSessions(uint32_t count) override;
  void CountEpisode() override;
  void CountAdoption() override;
  void CountQuotaRefusal(rpc::ClientQuota quota) override;
  void CountConnectionRefusal() override;

 private:
  // Values of label `stage`.
  enum Stage : uint8_t {
    kIngest,
    kQueue,
    kParked,
    kBevEncoder,
    kActionExpert,
    kTick,
    kTotal,
  };
  struct Answers {
    explicit Answers(metrics::Registry* registry);
    metrics::CounterFamily* const plans;
    metrics::CounterFamily* const refusals;
    metrics::CounterFamily* const reasons;
    metrics::CounterFamily* const deadline_misses;
    metrics::HistogramFamily* const staleness;
    metrics::HistogramFamily* const version_gap;
    metrics::CounterFamily* const agreement;
    metrics::CounterFamily* const consistency;
  };
  struct Load {
    explicit Load(metrics::Registry* registry);
    metrics::PolledFamily* const waiting;
    metrics::PolledFamily* const admission_tick;
    metrics::PolledFamily* const runs;
    metrics::GaugeFamily* const sessions;
    metrics::CounterFamily* const episodes;
    metrics::CounterFamily* const adopted;
    metrics::CounterFamily* const quota_refusals;
    metrics::CounterFamily* const connection_refusals;
  };
  struct Link {
    explicit Link(metrics::Registry* registry);
    metrics::PolledFamily* const state;
    metrics::PolledFamily* const reconnects;
    metrics::PolledFamily* const rehomes;
    metrics::PolledFamily* const received_bytes;
    metrics::PolledFamily* const reused_bytes;
    metrics::PolledFamily* const copied_bytes;
    metrics::PolledFamily* const refusals;
    metrics::PolledFamily* const observations;
    metrics::CounterFamily* const transitions;
    metrics::CounterFamily* const forward_failures;
  };
  struct Snapshots {
    explicit Snapshots(metrics::Registry* registry);
    metrics::CounterFamily* const received;
    metrics::CounterFamily* const rejected;
    metrics::HistogramFamily* const refresh;
    metrics::HistogramFamily* const transfer;
    metrics::CounterFamily* const refresh_failures;
  };

  struct Memory {
    explicit Memory(metrics::Registry* registry);
    metrics::PolledFamily* const bytes;
    metrics::PolledFamily* const limits;
    metrics::PolledFamily* const refusals;
  };

  struct Recording {
    explicit Recording(metrics::Registry* registry);
    metrics::PolledFamily* const records;
    metrics::PolledFamily* const bytes;
  };

  void SetSources(const Sources& sources);
  void SetRecordingSource(const std::function<RecordingStats()>& source);
  void SetMemorySource(const std::function<context::MemoryBudget::Stats()>& source);
  void ObserveContext(const PlanWork& work);
  void ObserveStages(const PlanWork& work, std::size_t rate, absl::Duration now);

  metrics::Registry* const registry_;
  const Clock* const clock_;
  metrics::LoopMetrics loop_;
  Answers answers_;
  Load load_;
  Link link_;
  Snapshots snapshots_;
  Memory memory_;
  Recording recording_;
};

}  // namespace automot::planning
