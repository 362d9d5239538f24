// What both loops measure alike: stages, pace and snapshot sizes. One family each, told apart by
// the label `loop`.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/metrics/labels.h"
#include "common/metrics/loop_pace.h"
#include "common/metrics/registry.h"

namespace automot::metrics {

// Wall time from below a millisecond to a stalled refresh, seconds.
inline constexpr BucketBounds kLatencyBounds = {0.0005, 0.001, 0.002, 0.005, 0.01, 0.015, 0.02,
                                                0.03,   0.05,  0.075, 0.1,   0.15, 0.2,   0.3,
                                                0.5,    1,     2,     5,     10,   30};
// 64 KiB to 1 GiB: a nano model's compact snapshot to a published model's full one.
inline constexpr BucketBounds kSnapshotBytesBounds = {65536,     262144,    1048576,   4194304,
                                                      16777216,  67108864,  134217728, 268435456,
                                                      536870912, 1073741824};

// Thread-safe but for ObservePace; lock-free and without allocation.
class LoopMetrics {
 public:
  // `stages`: the values of label `stage`, which ObserveStage counts from 0.
  LoopMetrics(Registry* registry, const std::string& loop, std::vector<std::string> stages)
      : stage_(registry->AddHistograms(
            names::kStageSeconds, &kLatencyBounds,
            {{"loop", {loop}}, {"stage", std::move(stages)}, RateHzLabel()}, Unused::kHidden)),
        period_(registry->AddHistograms(names::kLoopPeriodSeconds, &kLatencyBounds,
                                        {{"loop", {loop}}, RateHzLabel()}, Unused::kHidden)),
        jitter_(registry->AddHistograms(names::kLoopJitterSeconds, &kLatencyBounds,
                                        {{"loop", {loop}}, RateHzLabel()}, Unused::kHidden)),
        missed_(
            registry->AddCounters(names::kLoopMissedTicksTotal, {{"loop", {loop}}, RateHzLabel()})),
        bytes_(registry->AddHistograms(names::kSnapshotBytes, &kSnapshotBytesBounds,
                                       {{"loop", {loop}}})),
        ready_(registry->AddGauges(names::kReady, {{"loop", {loop}}})) {}

  void ObserveStage(std::size_t stage, std::size_t rate, double seconds) {
    stage_->At({0, stage, rate}).Observe(seconds);
  }
  // One thread at a time.
  void ObservePace(const LoopPace::Result& result) {
    const std::optional<LoopPace::Step> step = pace_.Observe(result);
    if (!step) return;
    const std::size_t rate = RateIndex(result.rate_hz);
    period_->At({0, rate}).Observe(step->period_s);
    if (step->jitter_s) jitter_->At({0, rate}).Observe(*step->jitter_s);
    missed_->At({0, rate}).Add(step->missed_ticks);
  }
  void ObserveSnapshotBytes(std::size_t bytes) {
    bytes_->At({0}).Observe(static_cast<double>(bytes));
  }
  void SetReady(bool ready) { ready_->At({0}).Set(ready ? 1.0 : 0.0); }

 private:
  HistogramFamily* const stage_;
  HistogramFamily* const period_;
  HistogramFamily* const jitter_;
  CounterFamily* const missed_;
  HistogramFamily* const bytes_;
  GaugeFamily* const ready_;
  LoopPace pace_;
};

}  // namespace automot::metrics
