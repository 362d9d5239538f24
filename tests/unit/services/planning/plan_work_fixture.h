// A plan as it leaves the planning thread, for tests of what is done with it.
#pragma once

#include <memory>

#include "common/control/decision_agreement.h"
#include "services/planning/plan_work.h"
#include "services/planning/session.h"

namespace automot::planning {

inline std::shared_ptr<Session> PlainSession(SessionOptions options, uint64_t key = 1) {
  return std::make_shared<Session>("car", "token", key, context::SessionHandle{}, options,
                                   lidar::HistogramBuilder::Create().value());
}

inline SessionOptions TwentyHertz() {
  SessionOptions options;
  options.planning_rate_hz = 20.0;
  options.reasoning_rate_hz = 2.0;
  return options;
}

// Answered by the action expert with a snapshot 0.25 s old, one version behind; 30 ms after it
// came.
inline PlanWork AnsweredWork(std::shared_ptr<Session> session) {
  PlanWork work;
  work.session = std::move(session);
  work.episode = 1;
  work.capture_time_us = 1'250'000;
  work.ingest_s = 0.003;
  PlanResult& result = work.result;
  result.snapshot = {.session = 1, .episode = 1, .epoch = 5, .version = 3};
  result.snapshot_capture_us = 1'000'000;
  result.version_gap = 1;
  result.agreement = control::kAgreementDisagree;
  result.consistency = control::kConsistencyConsistent;
  result.queue_s = 0.001;
  result.bev_encoder_s = 0.012;
  result.action_expert_s = 0.007;
  result.tick_s = 0.021;
  return work;
}

}  // namespace automot::planning
