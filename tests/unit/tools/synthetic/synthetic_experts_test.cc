// The producer's snapshots and the expert's answers, without a server.
#include <gtest/gtest.h>

#include "tests/fakes/recording_receiver.h"
#include "tests/fakes/slow_observations.h"
#include "tools/synthetic/synthetic_context.h"
#include "tools/synthetic/synthetic_expert.h"
#include "tools/synthetic/synthetic_producer.h"

namespace automot::synthetic {
namespace {

using fakes::SlowObservationAt;

constexpr uint64_t kSession = 7;

context::AttachRequest RequestOf(uint64_t epoch, bool lossless = false) {
  return {.session = kSession,
          .episode = 1,
          .epoch = epoch,
          .session_name = "car",
          .lossless = lossless};
}

class SyntheticExpertsTest : public ::testing::Test {
 protected:
  void Start(absl::Duration duration = absl::ZeroDuration()) {
    producer_.emplace(SyntheticProducerOptions{
        .duration = duration, .layout = SyntheticLayout(0), .pool = {.byte_budget = 1 << 20}});
  }
  void TearDown() override {
    if (producer_) producer_->Detach(kSession);
  }

  fakes::RecordingReceiver receiver_;
  std::optional<SyntheticProducer> producer_;
};

TEST_F(SyntheticExpertsTest, SnapshotHoldsTheFactsOfItsObservation) {
  Start();
  ASSERT_TRUE(producer_->Attach(RequestOf(9), &receiver_).ok());
  ASSERT_TRUE(receiver_.WaitForLink(context::LinkState::kUp));
  const auto seen = SlowObservationAt(kSession, 100, 0x20);
  ASSERT_TRUE(producer_->Submit(seen).ok());
  ASSERT_TRUE(receiver_.WaitForSnapshots(1));
  const context::SnapshotPtr snapshot = receiver_.snapshots().front();
  EXPECT_EQ(snapshot->header.id, (SnapshotId{kSession, 1, 9, 1}));
  EXPECT_EQ(snapshot->header.capture_time_us, 100);
  const auto facts = ReadFacts(snapshot->kv);
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->session, ChecksumOf("car"));
  EXPECT_EQ(facts->version, 1U);
  EXPECT_EQ(facts->frame, ChecksumOf(seen->frames.back()->image.get()));
  EXPECT_EQ(facts->speed_mps, seen->ego.speed_mps);
  EXPECT_EQ(facts->next_target, seen->target.next);
}

TEST_F(SyntheticExpertsTest, HistoryAloneYieldsNoSnapshot) {
  Start();
  ASSERT_TRUE(producer_->Attach(RequestOf(9), &receiver_).ok());
  auto history = SlowObservationAt(kSession, 50, 0x10);
  history->history_only = true;
  ASSERT_TRUE(producer_->Submit(history).ok());
  ASSERT_TRUE(producer_->Submit(SlowObservationAt(kSession, 100, 0x20)).ok());
  ASSERT_TRUE(receiver_.WaitForSnapshots(1));
  EXPECT_EQ(receiver_.snapshots().front()->header.capture_time_us, 100);
}

TEST_F(SyntheticExpertsTest, NewestCandidateIsNext) {
  Start(absl::Milliseconds(20));
  ASSERT_TRUE(producer_->Attach(RequestOf(9), &receiver_).ok());
  for (const SessionTimeUs time : {100, 200, 300}) {
    ASSERT_TRUE(producer_->Submit(SlowObservationAt(kSession, time, 0x20)).ok());
  }
  ASSERT_TRUE(receiver_.WaitForSnapshots(2));
  EXPECT_EQ(receiver_.snapshots()[1]->header.capture_time_us, 300);
  EXPECT_EQ(producer_->stats().observations_superseded, 1U);
}

TEST_F(SyntheticExpertsTest, LosslessSessionKeepsEveryCandidate) {
  Start(absl::Milliseconds(2));
  ASSERT_TRUE(producer_->Attach(RequestOf(9, /*lossless=*/true), &receiver_).ok());
  for (const SessionTimeUs time : {100, 200, 300}) {
    ASSERT_TRUE(producer_->Submit(SlowObservationAt(kSession, time, 0x20)).ok());
  }
  ASSERT_TRUE(receiver_.WaitForSnapshots(3));
  EXPECT_EQ(receiver_.snapshots()[1]->header.capture_time_us, 200);
}

TEST_F(SyntheticExpertsTest, EndedEpisodePublishesNothing) {
  Start(absl::Milliseconds(20));
  ASSERT_TRUE(producer_->Attach(RequestOf(9), &receiver_).ok());
  ASSERT_TRUE(producer_->Submit(SlowObservationAt(kSession, 100, 0x20)).ok());
  ASSERT_TRUE(producer_->Reset(kSession, 2).ok());
  auto next = SlowObservationAt(kSession, 10, 0x30);
  next->episode = 2;
  ASSERT_TRUE(producer_->Submit(next).ok());
  ASSERT_TRUE(receiver_.WaitForSnapshots(1));
  EXPECT_EQ(receiver_.snapshots().front()->header.id.episode, 2U);
}

TEST_F(SyntheticExpertsTest, UnknownSessionsAndQuantisedContextsAreRefused) {
  Start();
  EXPECT_TRUE(absl::IsNotFound(producer_->Submit(SlowObservationAt(kSession, 100, 0x20))));
  EXPECT_TRUE(absl::IsNotFound(producer_->Reset(kSession, 2)));
  context::AttachRequest quantised = RequestOf(9);
  quantised.element_type = context::ContextLayout::ElementType::kInt8;
  EXPECT_TRUE(absl::IsInvalidArgument(producer_->Attach(quantised, &receiver_)));
}

TEST_F(SyntheticExpertsTest, AnswerProvesObservationAndContext) {
  Start();
  ASSERT_TRUE(producer_->Attach(RequestOf(9), &receiver_).ok());
  ASSERT_TRUE(producer_->Submit(SlowObservationAt(kSession, 100, 0x20)).ok());
  ASSERT_TRUE(receiver_.WaitForSnapshots(1));
  const context::SnapshotPtr snapshot = receiver_.snapshots().front();
  const auto expert = MakeSyntheticExpert({});
  const auto prepared = expert->Prepare(snapshot);
  ASSERT_TRUE(prepared.ok()) << prepared.status();
  planning::PlanFeatures features;
  features.speed_mps = 3.0;
  features.capture_time_us = 150;
  planning::PlanOutput output;
  ASSERT_TRUE(expert->Plan(features, **prepared, &output).ok());
  const PlanProof expected =
      ProveInputs({.capture_time_us = 150, .speed_mps = 3.0}, ReadFacts(snapshot->kv).value());
  for (int i = 0; i < kProofFields; ++i) {
    EXPECT_EQ(output.trajectory.route[i].y, CarriedOffset(expected[i])) << i;
  }
}

// Both in one run: each has its own proof, and the run takes what was said.
TEST_F(SyntheticExpertsTest, BatchProvesEachVehiclesInputs) {
  Start();
  ASSERT_TRUE(producer_->Attach(RequestOf(9), &receiver_).ok());
  for (const SessionTimeUs time : {100, 200}) {
    ASSERT_TRUE(producer_->Submit(SlowObservationAt(kSession, time, 0x20)).ok());
    ASSERT_TRUE(receiver_.WaitForSnapshots(static_cast<std::size_t>(time / 100)));
  }
  const auto expert =
      MakeSyntheticExpert({.duration = absl::Milliseconds(3), .further = absl::Milliseconds(1)});
  EXPECT_EQ(expert->WarmCost(4), absl::Milliseconds(6));
  std::vector<std::unique_ptr<const planning::PreparedContext>> contexts;
  std::vector<planning::PlanItem> items(2);
  for (std::size_t i = 0; i < items.size(); ++i) {
    contexts.push_back(expert->Prepare(receiver_.snapshots()[i]).value());
    items[i].context = contexts[i].get();
    items[i].features.speed_mps = 3.0 + static_cast<double>(i);
  }
  expert->PlanBatch(absl::MakeSpan(items));
  for (std::size_t i = 0; i < items.size(); ++i) {
    ASSERT_TRUE(items[i].status.ok()) << items[i].status;
    EXPECT_GE(items[i].output.action_expert_s, 0.004);
    const PlanProof expected = ProveInputs({.speed_mps = items[i].features.speed_mps},
                                           ReadFacts(receiver_.snapshots()[i]->kv).value());
    for (int field = 0; field < kProofFields; ++field) {
      EXPECT_EQ(items[i].output.trajectory.route[field].y, CarriedOffset(expected[field]));
    }
  }
}

TEST_F(SyntheticExpertsTest, TornContextIsAnErrorNotAnAnswer) {
  auto torn = std::make_shared<context::ContextSnapshot>();
  torn->kv = context::KvBuffer::Allocate(SyntheticLayout(0)).value();
  torn->header.model_revision = kModelRevision;
  WriteFacts({.session = 1, .version = 2}, torn->kv);
  torn->kv.Tensor(0, context::TensorKind::kKey)[8] = std::byte{3};
  const auto expert = MakeSyntheticExpert({});
  EXPECT_TRUE(absl::IsDataLoss(expert->Prepare(torn).status()));
}

}  // namespace
}  // namespace automot::synthetic
