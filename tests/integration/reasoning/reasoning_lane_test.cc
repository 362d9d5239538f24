// Snapshots and observations between two ends of the gRPC lane, nothing broken.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/reasoning/lane_fixture.h"

namespace automot {
namespace {

using ::testing::ElementsAre;

INSTANTIATE_TEST_SUITE_P(Lanes, LaneTest, BothLanes(), LaneName);

TEST_P(LaneTest, SnapshotArrivesByteForByte) {
  control_->layout = {
      .layers = 3, .tokens = 700, .kv_heads = 4, .k_head_dim = 128, .v_head_dim = 80};
  StartReasoning();
  StartChannel();
  fakes::RecordingReceiver receiver;
  ASSERT_TRUE(channel_->Attach(Request(7, 1000), &receiver).ok());
  ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kUp));
  auto observation = fakes::SlowObservationAt(7, 1'000'000, 42);
  observation->ego.pose = Pose2{{3.0, -4.0}, 0.5};
  ASSERT_TRUE(channel_->Submit(observation).ok());
  ASSERT_TRUE(receiver.WaitForSnapshots(1));
  const context::SnapshotPtr snapshot = receiver.snapshots()[0];
  EXPECT_EQ(snapshot->header.id,
            (SnapshotId{.session = 7, .episode = 1, .epoch = 1000, .version = 1}));
  EXPECT_EQ(snapshot->header.capture_time_us, 1'000'000);
  EXPECT_THAT(snapshot->header.frame_capture_times_us,
              ElementsAre(1'000'000, 1'000'000, 1'000'000, 1'000'000));
  EXPECT_EQ(snapshot->header.history_spacing_error_us, 750'000);
  EXPECT_EQ(snapshot->header.prompt.pose, (Pose2{{3.0, -4.0}, 0.5}));
  EXPECT_EQ(snapshot->header.prompt.route_revision, 3U);
  EXPECT_EQ(snapshot->header.position_start, 700);
  EXPECT_EQ(snapshot->header.layout, control_->layout);
  EXPECT_EQ(snapshot->header.model_revision, control_->info.model_revision);
  EXPECT_EQ(snapshot->header.prompt_template, "fake-v1");
  EXPECT_EQ(snapshot->header.instruction_mask, "causal");
  EXPECT_EQ(snapshot->header.history_spacing_s, 0.25);
  EXPECT_TRUE(snapshot->header.reasons.Has(Reason::kShortHistory));
  EXPECT_TRUE(snapshot->header.reasons.Has(Reason::kNoLidar));
  ExpectFakeTensors(*snapshot, {42, 42, 42, 42});
  ASSERT_TRUE(snapshot->decision);
  EXPECT_EQ(snapshot->decision->slot_count, 3);
  EXPECT_EQ(snapshot->decision->slots[2].time_us, 3'000'000);
  EXPECT_EQ(snapshot->decision->slots[2].text.view(), "keep");
  EXPECT_GE(channel_->stats().bytes_received, control_->layout.payload_bytes());
}

TEST_P(LaneTest, LayersLeaveBeforeTheDecisionAndNothingIsVisibleUntilIt) {
  StartReasoning();
  StartChannel();
  fakes::RecordingReceiver receiver;
  ASSERT_TRUE(channel_->Attach(Request(1, 1), &receiver).ok());
  ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kUp));
  const int decisions = control_->decide_gate.arrivals();
  control_->decide_gate.Close();
  ASSERT_TRUE(SubmitAt(1, 0).ok());
  ASSERT_TRUE(control_->decide_gate.WaitForArrivals(decisions + 1));
  while (channel_->stats().bytes_received < control_->layout.payload_bytes()) {
  }
  EXPECT_TRUE(receiver.snapshots().empty());
  control_->decide_gate.Open();
  ASSERT_TRUE(receiver.WaitForSnapshots(1));
}

TEST_P(LaneTest, ATransferSaysWhatItTookAndWhatOfItWasExposed) {
  control_->layout.tokens = 700;
  StartReasoning();
  StartChannel();
  fakes::RecordingReceiver remote, inside;
  ASSERT_TRUE(channel_->Attach(Request(1, 1), &remote).ok());
  ASSERT_TRUE(remote.WaitForLink(context::LinkState::kUp));
  ASSERT_TRUE(SubmitAt(1, 0).ok());
  ASSERT_TRUE(remote.WaitForSnapshots(1));
  const context::SnapshotTimings& timings = remote.snapshots()[0]->timings;
  EXPECT_GT(timings.transfer_ms, 0.0);
  EXPECT_TRUE(timings.layers_ms.has_value());
  EXPECT_GE(timings.exposed_ms, 0.0);
  ASSERT_TRUE(process_->engine().Attach(Request(2, 1), &inside).ok());
  ASSERT_TRUE(process_->engine().Submit(fakes::SlowObservationAt(2, 0, 1)).ok());
  ASSERT_TRUE(inside.WaitForSnapshots(1));
  EXPECT_EQ(inside.snapshots()[0]->timings.transfer_ms, 0.0);
  EXPECT_EQ(inside.snapshots()[0]->timings.exposed_ms, 0.0);
  process_->engine().Detach(2);
}

TEST_P(LaneTest, HistoryReachesTheProducerInTimeForTheGrid) {
  StartReasoning();
  StartChannel();
  fakes::RecordingReceiver receiver;
  ASSERT_TRUE(channel_->Attach(Request(1, 1), &receiver).ok());
  // The link is not up yet: everything but the newest candidate waits as history.
  for (int i = 0; i <= 20; ++i) SubmitAt(1, i * 50'000, static_cast<uint8_t>(i)).IgnoreError();
  ASSERT_TRUE(receiver.WaitForSnapshots(1));
  ASSERT_TRUE(SubmitAt(1, 2'000'000, 99).ok());
  while (receiver.snapshots().back()->header.capture_time_us != 2'000'000) {
    ASSERT_TRUE(receiver.WaitForSnapshots(receiver.snapshots().size() + 1));
  }
  for (const context::SnapshotPtr& snapshot : receiver.snapshots()) {
    if (snapshot->header.capture_time_us == 1'000'000)
      ExpectFakeTensors(*snapshot, {5, 10, 15, 20});
  }
}

TEST_P(LaneTest, LosslessSessionGetsEveryRefreshInOrder) {
  reasoning::ReasoningOptions options;
  options.limits.lossless_queue = 2;  // the producer pushes back, the lane waits
  StartReasoning("127.0.0.1:0", options);
  StartChannel();
  fakes::RecordingReceiver receiver;
  context::AttachRequest request = Request(1, 1);
  request.lossless = true;
  ASSERT_TRUE(channel_->Attach(request, &receiver).ok());
  ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kUp));
  constexpr int kObservations = 12;
  for (int i = 0; i < kObservations; ++i) ASSERT_TRUE(SubmitAt(1, i * 50'000).ok());
  ASSERT_TRUE(receiver.WaitForSnapshots(kObservations));
  const auto snapshots = receiver.snapshots();
  ASSERT_EQ(snapshots.size(), static_cast<std::size_t>(kObservations));
  for (int i = 0; i < kObservations; ++i) {
    EXPECT_EQ(snapshots[static_cast<std::size_t>(i)]->header.capture_time_us, i * 50'000);
    EXPECT_EQ(snapshots[static_cast<std::size_t>(i)]->header.id.version,
              static_cast<uint64_t>(i) + 1);
  }
}

TEST_P(LaneTest, FailedRefreshIsReportedAndTheStreamGoesOn) {
  StartReasoning();
  StartChannel();
  fakes::RecordingReceiver receiver;
  ASSERT_TRUE(channel_->Attach(Request(1, 1), &receiver).ok());
  ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kUp));
  control_->FailPrefill(absl::InternalError("layer on fire"));
  ASSERT_TRUE(SubmitAt(1, 0).ok());
  ASSERT_TRUE(receiver.WaitForFailures(1));
  EXPECT_EQ(receiver.failures()[0], absl::InternalError("layer on fire"));
  control_->FailPrefill(absl::OkStatus());
  ASSERT_TRUE(SubmitAt(1, 500'000).ok());
  ASSERT_TRUE(receiver.WaitForSnapshots(1));
  EXPECT_EQ(receiver.snapshots()[0]->header.capture_time_us, 500'000);
}

TEST_P(LaneTest, ResetHidesTheOldEpisode) {
  StartReasoning();
  StartChannel();
  fakes::RecordingReceiver receiver;
  ASSERT_TRUE(channel_->Attach(Request(1, 1), &receiver).ok());
  ASSERT_TRUE(SubmitAt(1, 9'000'000).ok() || true);
  ASSERT_TRUE(receiver.WaitForSnapshots(1));
  ASSERT_TRUE(channel_->Reset(1, 2).ok());
  auto fresh = fakes::SlowObservationAt(1, 50, 3);
  fresh->episode = 2;
  ASSERT_TRUE(channel_->Submit(fresh).ok());
  ASSERT_TRUE(receiver.WaitForSnapshots(2));
  const context::SnapshotPtr snapshot = receiver.snapshots()[1];
  EXPECT_EQ(snapshot->header.id.episode, 2U);
  EXPECT_THAT(snapshot->header.frame_capture_times_us, ElementsAre(50, 50, 50, 50));
  EXPECT_TRUE(SubmitAt(1, 9'500'000).ok()) << "the old episode is dropped without a word";
}

TEST_P(LaneTest, SessionsShareTheProducer) {
  StartReasoning();
  StartChannel();
  fakes::RecordingReceiver receivers[3];
  for (uint64_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(channel_->Attach(Request(i + 1, 1), &receivers[i]).ok());
    SubmitAt(i + 1, 0, static_cast<uint8_t>(10 + i)).IgnoreError();
  }
  for (uint64_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(receivers[i].WaitForSnapshots(1));
    const context::SnapshotPtr snapshot = receivers[i].snapshots()[0];
    EXPECT_EQ(snapshot->header.id.session, i + 1);
    ExpectFakeTensors(*snapshot, std::vector<uint64_t>(4, 10 + i));
  }
  channel_->Detach(2);
  ASSERT_TRUE(SubmitAt(1, 500'000).ok());
  ASSERT_TRUE(receivers[0].WaitForSnapshots(2));
  EXPECT_TRUE(absl::IsNotFound(SubmitAt(2, 500'000)));
}

TEST_P(LaneTest, WrongModelRevisionIsRefused) {
  StartReasoning();
  StartChannel();
  fakes::RecordingReceiver receiver;
  context::AttachRequest request = Request(1, 1);
  request.model_revision = "another";
  ASSERT_TRUE(channel_->Attach(request, &receiver).ok());
  ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kDown));
  EXPECT_TRUE(absl::IsFailedPrecondition(receiver.link_states()[0].second));
}

}  // namespace
}  // namespace automot
