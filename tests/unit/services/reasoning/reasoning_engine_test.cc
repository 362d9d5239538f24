#include "services/reasoning/reasoning_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/services/reasoning/engine_fixture.h"

namespace automot::reasoning {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(EngineTest, FirstSnapshotIsMadeFromTheHistoryThereIs) {
  Start();
  fakes::RecordingReceiver receiver;
  ASSERT_TRUE(engine_->Attach(Request(1, 77), &receiver).ok());
  ASSERT_TRUE(SubmitAt(1, 1'000'000).ok());
  ASSERT_TRUE(receiver.WaitForSnapshots(1));
  const context::SnapshotHeader header = receiver.snapshots()[0]->header;
  EXPECT_EQ(header.id, (SnapshotId{.session = 1, .episode = 1, .epoch = 77, .version = 1}));
  EXPECT_EQ(header.capture_time_us, 1'000'000);
  EXPECT_THAT(header.frame_capture_times_us,
              ElementsAre(1'000'000, 1'000'000, 1'000'000, 1'000'000));
  EXPECT_EQ(header.history_spacing_error_us, 750'000);
  EXPECT_TRUE(header.reasons.Has(Reason::kShortHistory));
  EXPECT_TRUE(header.reasons.Has(Reason::kNoLidar));
  EXPECT_EQ(header.prompt.speed_mps, 5.0);
  EXPECT_EQ(header.prompt.target_points[1], (Vec2{20.0, 2.0}));
  EXPECT_EQ(header.prompt.route_revision, 3U);
  EXPECT_EQ(header.model_revision, control_->info.model_revision);
  EXPECT_EQ(header.instruction_mask, "causal");
  engine_->Detach(1);
}

TEST_F(EngineTest, KeysAndValuesAreTheExpertsAndTheDecisionSpeaksOfTheCapture) {
  Start();
  fakes::RecordingReceiver receiver;
  ASSERT_TRUE(engine_->Attach(Request(1), &receiver).ok());
  for (int i = 0; i < 3; ++i) {
    auto history = fakes::SlowObservationAt(1, i * 250'000, static_cast<uint8_t>(10 + i));
    history->history_only = true;
    ASSERT_TRUE(engine_->Submit(history).ok());
  }
  ASSERT_TRUE(SubmitAt(1, 750'000, 13).ok());
  ASSERT_TRUE(receiver.WaitForSnapshots(1));
  const context::SnapshotPtr snapshot = receiver.snapshots()[0];
  EXPECT_FALSE(snapshot->header.reasons.Has(Reason::kShortHistory));
  const uint64_t seed = fakes::FakeSeed({10, 11, 12, 13}, 5.0);
  for (int layer = 0; layer < snapshot->kv.layout().layers; ++layer) {
    const auto values = snapshot->kv.Tensor(layer, context::TensorKind::kValue);
    for (std::size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(values[i], fakes::FakeTensorByte(seed, layer, context::TensorKind::kValue, i));
    }
  }
  ASSERT_TRUE(snapshot->decision);
  EXPECT_EQ(snapshot->decision->slots[1].time_us, 1'750'000);
  engine_->Detach(1);
}

TEST_F(EngineTest, NewestObservationWinsWhileTheWorkerIsBusy) {
  Start();
  fakes::RecordingReceiver receiver;
  ASSERT_TRUE(engine_->Attach(Request(1), &receiver).ok());
  control_->prefill_gate.Close();
  ASSERT_TRUE(SubmitAt(1, 0).ok());
  ASSERT_TRUE(AwaitPrefill(1));
  for (SessionTimeUs time = 500'000; time <= 2'500'000; time += 500'000)
    ASSERT_TRUE(SubmitAt(1, time).ok());
  control_->prefill_gate.Open();
  ASSERT_TRUE(receiver.WaitForSnapshots(2));
  const auto snapshots = receiver.snapshots();
  EXPECT_EQ(snapshots[0]->header.capture_time_us, 0);
  EXPECT_EQ(snapshots[1]->header.capture_time_us, 2'500'000);
  EXPECT_EQ(snapshots[1]->header.id.version, 2U);
  EXPECT_THAT(snapshots[1]->header.frame_capture_times_us,
              ElementsAre(1'500'000, 2'000'000, 2'000'000, 2'500'000))
      << "superseded work still leaves its frames in the history";
  EXPECT_EQ(engine_->status().superseded, 4U);
  engine_->Detach(1);
  EXPECT_EQ(receiver.snapshots().size(), 2U);
}

TEST_F(EngineTest, LosslessSessionRefreshesEveryObservationInOrderAndPushesBack) {
  ReasoningOptions options;
  options.limits.lossless_queue = 2;
  Start(options);
  fakes::RecordingReceiver receiver;
  context::AttachRequest request = Request(1);
  request.lossless = true;
  ASSERT_TRUE(engine_->Attach(request, &receiver).ok());
  control_->prefill_gate.Close();
  ASSERT_TRUE(SubmitAt(1, 0).ok());
  ASSERT_TRUE(AwaitPrefill(1));
  ASSERT_TRUE(SubmitAt(1, 50'000).ok());
  ASSERT_TRUE(SubmitAt(1, 100'000).ok());
  const absl::Status full = SubmitAt(1, 150'000);
  EXPECT_TRUE(absl::IsResourceExhausted(full));
  EXPECT_THAT(std::string(full.message()), HasSubstr("2 of 2"));
  control_->prefill_gate.Open();
  ASSERT_TRUE(receiver.WaitForSnapshots(3));
  std::vector<SessionTimeUs> times;
  for (const auto& snapshot : receiver.snapshots())
    times.push_back(snapshot->header.capture_time_us);
  EXPECT_THAT(times, ElementsAre(0, 50'000, 100'000));
  engine_->Detach(1);
}

TEST_F(EngineTest, FramesThatStayInTheHistoryAreEncodedOnce) {
  Start();
  fakes::RecordingReceiver receiver;
  ASSERT_TRUE(engine_->Attach(Request(1), &receiver).ok());
  for (std::size_t i = 0; i < 4; ++i) {
    ASSERT_TRUE(SubmitAt(1, static_cast<SessionTimeUs>(i) * 500'000).ok());
    ASSERT_TRUE(receiver.WaitForSnapshots(i + 1));
  }
  EXPECT_EQ(control_->encoded - warm_up_encodings_, 4)
      << "one per frame, whatever number of refreshes uses it";
  EXPECT_EQ(engine_->status().vision_cache_hits, 4U * 4U - 4U);
  engine_->Detach(1);
}

TEST_F(EngineTest, FailureIsReportedAndTheNextRefreshGoesOn) {
  Start();
  fakes::RecordingReceiver receiver;
  ASSERT_TRUE(engine_->Attach(Request(1), &receiver).ok());
  ASSERT_TRUE(SubmitAt(1, 0).ok());
  ASSERT_TRUE(receiver.WaitForSnapshots(1));
  control_->FailPrefill(absl::InternalError("no such layer"));
  ASSERT_TRUE(SubmitAt(1, 500'000).ok());
  ASSERT_TRUE(receiver.WaitForFailures(1));
  EXPECT_EQ(receiver.failures()[0], absl::InternalError("no such layer"));
  EXPECT_EQ(receiver.snapshots().size(), 1U);
  control_->FailPrefill(absl::OkStatus());
  ASSERT_TRUE(SubmitAt(1, 1'000'000).ok());
  ASSERT_TRUE(receiver.WaitForSnapshots(2));
  EXPECT_EQ(receiver.snapshots()[1]->header.capture_time_us, 1'000'000);
  EXPECT_EQ(engine_->status().refreshes_failed, 1U);
  engine_->Detach(1);
}

TEST_F(EngineTest, FailedDecisionLeavesTheSnapshotWithoutOne) {
  Start();
  fakes::RecordingReceiver receiver;
  control_->FailDecide(absl::InternalError("no head"));
  ASSERT_TRUE(engine_->Attach(Request(1), &receiver).ok());
  ASSERT_TRUE(SubmitAt(1, 0).ok());
  ASSERT_TRUE(receiver.WaitForSnapshots(1));
  EXPECT_FALSE(receiver.snapshots()[0]->decision);
  engine_->Detach(1);
}

TEST_F(EngineTest, DecisionsOffNeverRunsThem) {
  ReasoningOptions options;
  options.worker.publish_decisions = false;
  Start(options);
  fakes::RecordingReceiver receiver;
  ASSERT_TRUE(engine_->Attach(Request(1), &receiver).ok());
  ASSERT_TRUE(SubmitAt(1, 0).ok());
  ASSERT_TRUE(receiver.WaitForSnapshots(1));
  EXPECT_FALSE(receiver.snapshots()[0]->decision);
  EXPECT_EQ(control_->decided, 0);
  engine_->Detach(1);
}

TEST_F(EngineTest, ObservationWithoutAnyFrameMakesNoContext) {
  Start();
  fakes::RecordingReceiver receiver;
  ASSERT_TRUE(engine_->Attach(Request(1), &receiver).ok());
  auto blind = fakes::SlowObservationAt(1, 0, 1);
  blind->frames.clear();
  ASSERT_TRUE(engine_->Submit(blind).ok());
  ASSERT_TRUE(SubmitAt(1, 50'000).ok());
  ASSERT_TRUE(receiver.WaitForSnapshots(1));
  EXPECT_EQ(receiver.snapshots()[0]->header.id.version, 1U);
  engine_->Detach(1);
}

TEST_F(EngineTest, TimeDoesNotGoBackWithinAnEpisode) {
  Start();
  fakes::RecordingReceiver receiver;
  ASSERT_TRUE(engine_->Attach(Request(1), &receiver).ok());
  ASSERT_TRUE(engine_->Submit(fakes::SlowObservationAt(1, 500'000, 1, 1)).ok());
  const absl::Status back = engine_->Submit(fakes::SlowObservationAt(1, 400'000, 1, 2));
  EXPECT_TRUE(absl::IsInvalidArgument(back));
  EXPECT_THAT(std::string(back.message()), HasSubstr("capture_time_us is 400000"));
  engine_->Detach(1);
}

}  // namespace
}  // namespace automot::reasoning
