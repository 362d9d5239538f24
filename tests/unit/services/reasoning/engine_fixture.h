// A reasoning engine on the fake expert.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "common/time/clock.h"
#include "services/reasoning/reasoning_engine.h"
#include "tests/fakes/fake_understanding_expert.h"
#include "tests/fakes/recording_receiver.h"
#include "tests/fakes/slow_observations.h"

namespace automot::reasoning {

class EngineTest : public ::testing::Test {
 protected:
  void Start(ReasoningOptions options = {}) {
    options.pool.prefault = false;
    engine_ = std::make_unique<ReasoningEngine>(
        options,
        [control = control_] {
          return absl::StatusOr<std::unique_ptr<UnderstandingExpert>>(
              std::make_unique<fakes::FakeUnderstandingExpert>(control));
        },
        &clock_, events_);
    ASSERT_TRUE(engine_->WaitUntilReady(absl::Seconds(30)).ok());
    warm_up_encodings_ = control_->encoded;
    warm_up_prefills_ = control_->prefill_gate.arrivals();
    warm_up_layers_ = control_->layer_gate.arrivals();
  }

  void TearDown() override {
    // A failed test must not leave the worker behind a gate.
    for (fakes::Gate* gate :
         {&control_->encode_gate, &control_->prefill_gate, &control_->layer_gate,
          &control_->decide_gate, &control_->token_gate}) {
      gate->Open();
    }
    engine_.reset();
  }

  static context::AttachRequest Request(uint64_t session, uint64_t epoch = 1) {
    return {.session = session,
            .episode = 1,
            .epoch = epoch,
            .session_name = "car" + std::to_string(session)};
  }
  absl::Status SubmitAt(uint64_t session, SessionTimeUs time, uint8_t brightness = 1) {
    return engine_->Submit(fakes::SlowObservationAt(session, time, brightness));
  }
  // Waits until the worker stands before the prefill of its `count`-th refresh.
  bool AwaitPrefill(int count) {
    return control_->prefill_gate.WaitForArrivals(warm_up_prefills_ + count);
  }

  std::shared_ptr<fakes::FakeExpertControl> control_ = std::make_shared<fakes::FakeExpertControl>();
  ManualClock clock_;
  ReasoningEvents* events_ = ReasoningEvents::None();  // outlives the engine
  std::unique_ptr<ReasoningEngine> engine_;
  int warm_up_encodings_ = 0, warm_up_prefills_ = 0, warm_up_layers_ = 0;
};

}  // namespace automot::reasoning
