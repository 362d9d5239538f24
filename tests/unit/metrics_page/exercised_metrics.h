// The services' metrics on one registry, as in automot-serve, each with every event that they know
// seen at least once.
#pragma once

#include <memory>

#include "common/metrics/registry.h"
#include "common/time/clock.h"
#include "services/egodriver/egodriver_metrics_prometheus.h"
#include "services/planning/planning_metrics_prometheus.h"
#include "services/reasoning/reasoning_metrics.h"

namespace automot::metrics {

class ExercisedMetrics {
 public:
  ExercisedMetrics();
  const Registry& registry() const { return registry_; }

 private:
  void ExercisePlanning();
  void ExerciseReasoning();
  void ExerciseEgodriver();

  Registry registry_;
  ManualClock clock_;
  planning::PrometheusPlanningMetrics planning_{&registry_, &clock_};
  reasoning::PrometheusReasoningEvents reasoning_{&registry_, &clock_};
  egodriver::PrometheusEgodriverMetrics egodriver_{&registry_};
  planning::PrometheusPlanningMetrics::Connection connection_{
      &planning_,
      {[] { return planning::PlanningLoop::Load(); }, [] { return context::LinkStats(); },
       [] { return context::MemoryBudget::Stats(); }, [] { return planning::RecordingStats(); }}};
};

}  // namespace automot::metrics
