#include "tests/unit/metrics_page/exercised_metrics.h"

#include "common/logging/log.h"
#include "common/metrics/labels.h"
#include "common/metrics/process_metrics.h"
#include "tests/unit/common/context/snapshot_fixture.h"
#include "tests/unit/services/planning/plan_work_fixture.h"

namespace automot::metrics {
namespace {

constexpr double kOtherRateHz = 3.0;

std::vector<double> Rates() {
  std::vector<double> rates(kRatesHz.begin(), kRatesHz.end());
  rates.push_back(kOtherRateHz);
  return rates;
}

}  // namespace

ExercisedMetrics::ExercisedMetrics() {
  logging::SetSink([](std::string_view) {});
  AddProcessMetrics(&registry_);
  ExercisePlanning();
  ExerciseReasoning();
  ExerciseEgodriver();
  logging::SetSink(nullptr);
}

void ExercisedMetrics::ExercisePlanning() {
  planning::ActionExpertInfo model;
  model.model_revision = "revision";
  planning_.Describe(model, context::Lane::kInProcess);
  planning_.SetReady(true);
  uint64_t key = 0;
  for (const double rate : Rates()) {
    for (const auto mode : {planning::TimeMode::kRealtime, planning::TimeMode::kStepped}) {
      planning::SessionOptions options = planning::TwentyHertz();
      options.planning_rate_hz = rate;
      options.time_mode = mode;
      planning::PlanWork work = planning::AnsweredWork(planning::PlainSession(options, ++key));
      work.parked_at = absl::ZeroDuration();
      for (int tick = 0; tick < 2; ++tick) {
        planning_.ObserveTick(work);
        planning_.ObservePlan(work);
      }
    }
  }
  planning_.ObserveSnapshot(*context::SmallSnapshot());
}

void ExercisedMetrics::ExerciseEgodriver() {
  for (int method = 0; method < egodriver::kMethodCount; ++method) {
    egodriver_.ObserveRpc(static_cast<egodriver::Method>(method), absl::StatusCode::kOk, 0.01);
  }
}

void ExercisedMetrics::ExerciseReasoning() {
  reasoning::UnderstandingExpertInfo model;
  model.model_revision = "revision";
  reasoning_.OnReady(model);
  context::AttachRequest owner{.session_name = "car"};
  context::ContextSnapshot snapshot;
  snapshot.header = context::SmallHeader();
  snapshot.timings = {1, 1, 1, 1, 1};
  for (const double rate : Rates()) {
    ++owner.session;
    owner.reasoning_rate_hz = rate;
    reasoning_.OnRefreshBegun(owner, 0.0, 0.0);
    for (int refresh = 0; refresh < 2; ++refresh) reasoning_.OnPublished(owner, snapshot, 1);
  }
}

}  // namespace automot::metrics
