#include "services/egodriver/egodriver_metrics_prometheus.h"

#include <vector>

namespace automot::egodriver {
namespace {

using metrics::BucketBounds;
using metrics::LabelValues;
namespace names = metrics::names;

// The buckets that alpasim's runtime has for the same calls, so that both sides compare.
constexpr BucketBounds kRpcBounds = {0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20};

// In Method's order.
LabelValues MethodLabel() {
  return {
      "method",
      {"get_version", "start_session", "submit_image_observation", "submit_egomotion_observation",
       "submit_route", "submit_recording_ground_truth", "drive", "close_session"}};
}

}  // namespace

PrometheusEgodriverMetrics::PrometheusEgodriverMetrics(metrics::Registry* registry)
    : rpc_seconds_(
          registry->AddHistograms(names::kEgodriverRpcSeconds, &kRpcBounds, {MethodLabel()})),
      rpcs_(registry->AddCounters(names::kEgodriverRpcsTotal, {MethodLabel(), metrics::CodeLabel()},
                                  metrics::Unused::kHidden)),
      rollouts_(
          registry->AddGauges(names::kEgodriverRollouts, {{"state", {"running", "waiting"}}})),
      rollouts_ended_(registry->AddCounters(names::kEgodriverRolloutsEndedTotal,
                                            {{"how", {"closed", "expired", "drained"}}})),
      drive_retries_(registry->AddCounters(names::kEgodriverDriveRetriesTotal)) {}

void PrometheusEgodriverMetrics::ObserveRpc(Method method, absl::StatusCode code, double seconds) {
  const auto index = static_cast<std::size_t>(method);
  rpc_seconds_->At({index}).Observe(seconds);
  rpcs_->At({index, metrics::CodeIndex(static_cast<int>(code))}).Add();
}

void PrometheusEgodriverMetrics::SetRollouts(uint32_t running, uint32_t waiting) {
  rollouts_->At({0}).Set(running);
  rollouts_->At({1}).Set(waiting);
}

void PrometheusEgodriverMetrics::CountRolloutEnd(RolloutEnd how) {
  rollouts_ended_->At({static_cast<std::size_t>(how)}).Add();
}

void PrometheusEgodriverMetrics::CountDriveRetry() { drive_retries_->At().Add(); }

}  // namespace automot::egodriver
