// EgodriverMetrics as Prometheus series. docs/metrics.md says what each means and when it moves.
// Thread-safe: atomics only.
#pragma once

#include "common/metrics/registry.h"
#include "services/egodriver/egodriver_metrics.h"

namespace automot::egodriver {

class PrometheusEgodriverMetrics final : public EgodriverMetrics {
 public:
  // `registry` must outlive the metrics.
  explicit PrometheusEgodriverMetrics(metrics::Registry* registry);

  void ObserveRpc(Method method, absl::StatusCode code, double seconds) override;
  void SetRollouts(uint32_t running, uint32_t waiting) override;
  void CountRolloutEnd(RolloutEnd how) override;
  void CountDriveRetry() override;

 private:
  metrics::HistogramFamily* const rpc_seconds_;
  metrics::CounterFamily* const rpcs_;
  metrics::GaugeFamily* const rollouts_;
  metrics::CounterFamily* const rollouts_ended_;
  metrics::CounterFamily* const drive_retries_;
};

}  // namespace automot::egodriver
