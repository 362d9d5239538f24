// Refreshes of several vehicles: their order, their batches, and how many there may be.
#include <vector>

#include "tests/unit/services/reasoning/engine_fixture.h"

namespace automot::reasoning {
namespace {

constexpr int kVehicles = 4;

class BatchesTest : public EngineTest {
 protected:
  // The expert's runs take the same time whatever their size.
  void StartWithBatches() {
    control_->on_run = [this] { clock_.Advance(absl::Milliseconds(10)); };
    ReasoningOptions options;
    options.worker.max_batch = kVehicles;
    Start(options);
  }
  void AttachAll() {
    for (uint64_t i = 0; i < kVehicles; ++i) {
      context::AttachRequest request = Request(i + 1);
      request.staleness_budget_us = 1'000'000;
      ASSERT_TRUE(engine_->Attach(request, &receivers_[i]).ok());
    }
  }
  // One observation of each vehicle waits, behind one of the first that is being worked on.
  void QueueAll(uint8_t brightness) {
    control_->prefill_gate.Close();
    ASSERT_TRUE(SubmitAt(1, 0).ok());
    ASSERT_TRUE(AwaitPrefill(1));
    for (uint64_t i = 1; i <= kVehicles; ++i) {
      ASSERT_TRUE(SubmitAt(i, 1'000'000, static_cast<uint8_t>(brightness + i)).ok());
    }
  }
  void TearDown() override {
    for (uint64_t i = 1; i <= kVehicles; ++i) engine_->Detach(i);
    EngineTest::TearDown();
  }

  fakes::RecordingReceiver receivers_[kVehicles];
};

TEST_F(BatchesTest, SessionsShareARunAndEachGetsItsOwnContext) {
  StartWithBatches();
  AttachAll();
  QueueAll(10);
  control_->prefill_gate.Open();
  for (std::size_t i = 0; i < kVehicles; ++i) {
    const std::size_t snapshots = i == 0 ? 2 : 1;
    ASSERT_TRUE(receivers_[i].WaitForSnapshots(snapshots));
    const context::SnapshotPtr snapshot = receivers_[i].snapshots().back();
    EXPECT_EQ(snapshot->header.id.session, i + 1);
    EXPECT_EQ(snapshot->header.capture_time_us, 1'000'000);
    // Oldest first; before the first frame the history repeats it.
    const uint64_t own = 10 + i + 1;
    const uint64_t oldest = i == 0 ? 1 : own;
    const uint64_t seed = fakes::FakeSeed({oldest, oldest, oldest, own}, 5.0);
    for (int layer = 0; layer < 3; ++layer) {
      const auto keys = snapshot->kv.Tensor(layer, context::TensorKind::kKey);
      EXPECT_EQ(keys[0], fakes::FakeTensorByte(seed, layer, context::TensorKind::kKey, 0)) << i;
    }
  }
  EXPECT_EQ(control_->prefill_gate.arrivals() - warm_up_prefills_, 2)
      << "the first alone, the rest in one run";
}

TEST_F(BatchesTest, WhatEndsOneRefreshLeavesTheOthersInTheRunAlone) {
  StartWithBatches();
  AttachAll();
  QueueAll(10);
  ASSERT_TRUE(engine_->Reset(3, 2).ok());  // its waiting refresh is of an episode that is over
  control_->prefill_gate.Open();
  ASSERT_TRUE(receivers_[1].WaitForSnapshots(1));
  ASSERT_TRUE(receivers_[3].WaitForSnapshots(1));
  EXPECT_TRUE(receivers_[2].snapshots().empty());
}

TEST_F(BatchesTest, ARefreshWhoseEpisodeEndsWhileOthersAreEncodedCostsTheExpertNothing) {
  StartWithBatches();
  AttachAll();
  QueueAll(10);
  const int encoded = control_->encoded;
  const int encodings = control_->encode_gate.arrivals();
  control_->encode_gate.Close();
  control_->prefill_gate.Open();
  ASSERT_TRUE(control_->encode_gate.WaitForArrivals(encodings + 1));  // the run's first vehicle
  for (uint64_t i = 1; i <= kVehicles; ++i) ASSERT_TRUE(engine_->Reset(i, 2).ok());
  control_->encode_gate.Open();
  for (auto& receiver : receivers_) ASSERT_TRUE(receiver.WaitForFailures(1));
  EXPECT_EQ(control_->encoded - encoded, 1) << "the frame that was under way";
}

TEST_F(BatchesTest, AFailedRunFailsEveryRefreshInIt) {
  StartWithBatches();
  AttachAll();
  QueueAll(10);
  control_->FailPrefill(absl::InternalError("out of memory"));
  control_->prefill_gate.Open();
  for (fakes::RecordingReceiver& receiver : receivers_) {
    ASSERT_TRUE(receiver.WaitForFailures(1));
    EXPECT_TRUE(receiver.snapshots().empty());
  }
}

TEST_F(BatchesTest, TheContextThatWillBeStaleFirstIsRefreshedFirst) {
  Start();
  context::AttachRequest patient = Request(1), hurried = Request(2);
  patient.staleness_budget_us = 3'000'000;
  hurried.staleness_budget_us = 1'000'000;
  ASSERT_TRUE(engine_->Attach(patient, &receivers_[0]).ok());
  ASSERT_TRUE(engine_->Attach(hurried, &receivers_[1]).ok());
  ASSERT_TRUE(SubmitAt(1, 0).ok());
  ASSERT_TRUE(SubmitAt(2, 0).ok());
  ASSERT_TRUE(receivers_[0].WaitForSnapshots(1));
  ASSERT_TRUE(receivers_[1].WaitForSnapshots(1));
  control_->prefill_gate.Close();
  ASSERT_TRUE(SubmitAt(1, 600'000).ok());
  ASSERT_TRUE(AwaitPrefill(3));  // the worker is busy
  ASSERT_TRUE(SubmitAt(1, 1'200'000).ok());
  ASSERT_TRUE(SubmitAt(2, 600'000).ok());
  control_->prefill_gate.Admit(2);
  ASSERT_TRUE(receivers_[1].WaitForSnapshots(2)) << "came last, 400 ms are left to it";
  EXPECT_EQ(receivers_[0].snapshots().size(), 2U);
  control_->prefill_gate.Open();
}

TEST_F(BatchesTest, SessionsBeyondTheExpertsTimeAreRefusedAndNamed) {
  control_->on_run = [this] { clock_.Advance(absl::Milliseconds(100)); };
  ReasoningOptions options;
  options.max_refresh_load = 0.5;
  options.worker.max_batch = 2;  // measured in warming up: 50 ms a refresh
  Start(options);
  for (uint64_t i = 1; i <= 4; ++i) {
    EXPECT_TRUE(engine_->Attach(Request(i), &receivers_[i - 1]).ok()) << i;
  }
  fakes::RecordingReceiver fifth;
  context::AttachRequest request = Request(5);
  request.reasoning_rate_hz = 4.0;
  const absl::Status refused = engine_->Attach(request, &fifth);
  EXPECT_EQ(refused, absl::ResourceExhaustedError(
                         "reasoning_rate_hz is 4; with it refreshes of 50 ms would take 0.6 of the "
                         "expert's time, and the limit is 0.5"));
  EXPECT_TRUE(engine_->Attach(Request(4, 2), &receivers_[3]).ok()) << "is attached already";
  engine_->Detach(4);
  request.reasoning_rate_hz = 2.0;
  EXPECT_TRUE(engine_->Attach(request, &fifth).ok()) << "room again";
  engine_->Detach(5);
}

TEST_F(BatchesTest, ABudgetOutOfBoundsIsRefused) {
  Start();
  context::AttachRequest request = Request(1);
  request.staleness_budget_us = -1;
  EXPECT_EQ(engine_->Attach(request, &receivers_[0]),
            absl::InvalidArgumentError(
                "staleness_budget_us is -1; it must be at least 0 and at most 3600000000"));
}

}  // namespace
}  // namespace automot::reasoning
