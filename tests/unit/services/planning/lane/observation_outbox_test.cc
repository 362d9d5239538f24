#include "services/planning/lane/observation_outbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/slow_observations.h"

namespace automot::planning {
namespace {

using Outcome = ObservationOutbox::Outcome;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

context::SlowObservationPtr At(SessionTimeUs time, bool history_only = false, bool urgent = false) {
  auto observation = fakes::SlowObservationAt(1, time, 1);
  observation->history_only = history_only;
  observation->urgent = urgent;
  return observation;
}

std::vector<SessionTimeUs> Times(const ObservationOutbox::Batch& batch) {
  std::vector<SessionTimeUs> times;
  for (const CameraFramePtr& frame : batch.frames) times.push_back(frame->capture_time_us);
  return times;
}

TEST(ObservationOutbox, NewestCandidateGoesWithTheFramesOfAll) {
  ObservationOutbox outbox({});
  EXPECT_EQ(outbox.Add(At(0)), Outcome::kAccepted);
  EXPECT_EQ(outbox.Add(At(50)), Outcome::kSuperseded);
  EXPECT_EQ(outbox.Add(At(100)), Outcome::kSuperseded);
  const auto batch = outbox.Next();
  ASSERT_TRUE(batch);
  EXPECT_FALSE(batch->history_only);
  EXPECT_EQ(batch->observation->ego.capture_time_us, 100);
  EXPECT_THAT(Times(*batch), ElementsAre(0, 50, 100));
  outbox.Acknowledge(*batch);
  EXPECT_FALSE(outbox.Next());
}

TEST(ObservationOutbox, WhatWasNotAcknowledgedGoesOutAgain) {
  ObservationOutbox outbox({});
  outbox.Add(At(0));
  EXPECT_TRUE(outbox.Next());
  EXPECT_TRUE(outbox.Next()) << "nothing was acknowledged";
}

TEST(ObservationOutbox, NewProducerGetsTheGridFirstThenTheRest) {
  ObservationOutbox outbox({});
  for (int i = 0; i <= 20; ++i) {
    outbox.Add(At(i * 50'000));
    outbox.Acknowledge(*outbox.Next());
  }
  outbox.MarkUnsent();
  outbox.Add(At(1'050'000));
  const auto first = outbox.Next();
  ASSERT_TRUE(first);
  EXPECT_FALSE(first->history_only);
  EXPECT_THAT(Times(*first), ElementsAre(300'000, 550'000, 800'000, 1'050'000));
  outbox.Acknowledge(*first);
  const auto rest = outbox.Next();
  ASSERT_TRUE(rest);
  EXPECT_TRUE(rest->history_only);
  EXPECT_EQ(rest->frames.size(), 8U);
  EXPECT_EQ(rest->frames.back()->capture_time_us, 1'000'000)
      << "the newest are what a later grid needs";
}

TEST(ObservationOutbox, NewAttachmentGetsWhatTheOldOneHadNotAnswered) {
  ObservationOutbox outbox({.lossless = true});
  for (const SessionTimeUs time : {0, 50, 100}) {
    outbox.Add(At(time));
    outbox.Acknowledge(*outbox.Next());
  }
  outbox.Answered(0);
  outbox.Add(At(150));
  outbox.MarkUnsent();
  for (const SessionTimeUs time : {50, 100, 150}) {
    const auto batch = outbox.Next();
    ASSERT_TRUE(batch);
    EXPECT_FALSE(batch->history_only);
    EXPECT_EQ(batch->observation->ego.capture_time_us, time);
    outbox.Acknowledge(*batch);
  }
  outbox.Answered(150);
  outbox.MarkUnsent();
  const auto rest = outbox.Next();
  EXPECT_TRUE(rest && rest->history_only) << "all were answered: only frames go out again";
}

TEST(ObservationOutbox, WhereTheNewestWinsANewAttachmentGetsOnlyThat) {
  ObservationOutbox outbox({});
  outbox.Add(At(0));
  outbox.Acknowledge(*outbox.Next());
  outbox.MarkUnsent();
  EXPECT_EQ(outbox.Next()->observation->ego.capture_time_us, 0);
  outbox.Acknowledge(*outbox.Next());
  outbox.Add(At(50));
  outbox.MarkUnsent();
  const auto batch = outbox.Next();
  EXPECT_EQ(batch->observation->ego.capture_time_us, 50);
  outbox.Acknowledge(*batch);
  EXPECT_FALSE(outbox.Next());
}

TEST(ObservationOutbox, WhatIsRefusedDoesNotComeBack) {
  ObservationOutbox outbox({.lossless = true});
  outbox.Add(At(0));
  outbox.Acknowledge(*outbox.Next());
  outbox.Add(At(50));
  outbox.Discard(*outbox.Next());
  EXPECT_FALSE(outbox.Next());
  outbox.Answered(0);
  outbox.MarkUnsent();
  const auto batch = outbox.Next();
  ASSERT_TRUE(batch);
  EXPECT_TRUE(batch->history_only);
  EXPECT_THAT(Times(*batch), ElementsAre(0));
}

TEST(ObservationOutbox, RingIsBounded) {
  ObservationOutbox outbox({.ring_frames = 4});
  for (int i = 0; i < 10; ++i) outbox.Add(At(i, true));
  EXPECT_EQ(outbox.frames(), 4U);
  EXPECT_THAT(Times(*outbox.Next()), ElementsAre(6, 7, 8, 9));
}

TEST(ObservationOutbox, HistoryAloneTravelsAsHistory) {
  ObservationOutbox outbox({});
  outbox.Add(At(0, true));
  const auto batch = outbox.Next();
  ASSERT_TRUE(batch);
  EXPECT_TRUE(batch->history_only);
}

TEST(ObservationOutbox, UrgencyOutlivesTheObservationThatBroughtIt) {
  ObservationOutbox outbox({});
  outbox.Add(At(0, false, true));
  outbox.Add(At(50));
  EXPECT_TRUE(outbox.Next()->observation->urgent);
  EXPECT_EQ(outbox.Next()->observation->ego.capture_time_us, 50);
}

TEST(ObservationOutbox, LosslessKeepsAllInOrderAndRefusesBeyondItsCapacity) {
  ObservationOutbox outbox({.lossless = true, .lossless_capacity = 2});
  EXPECT_EQ(outbox.Add(At(0)), Outcome::kAccepted);
  EXPECT_EQ(outbox.Add(At(50)), Outcome::kAccepted);
  EXPECT_EQ(outbox.Add(At(100)), Outcome::kFull);
  for (SessionTimeUs time : {0, 50}) {
    const auto batch = outbox.Next();
    ASSERT_TRUE(batch);
    EXPECT_EQ(batch->observation->ego.capture_time_us, time);
    EXPECT_THAT(Times(*batch), ElementsAre(time)) << "no frame from after the observation";
    outbox.Acknowledge(*batch);
  }
  const auto refused = outbox.Next();
  ASSERT_TRUE(refused) << "the refused observation's frame is history all the same";
  EXPECT_TRUE(refused->history_only);
}

TEST(ObservationOutbox, LosslessTakesTheSameObservationOnceWhileItWaits) {
  ObservationOutbox outbox({.lossless = true});
  const context::SlowObservationPtr observation = At(0);
  EXPECT_EQ(outbox.Add(observation), Outcome::kAccepted);
  EXPECT_EQ(outbox.Add(observation), Outcome::kAccepted);
  const auto batch = outbox.Next();
  ASSERT_TRUE(batch);
  outbox.Acknowledge(*batch);
  EXPECT_FALSE(outbox.Next());
  // A producer that took it may have died with it.
  EXPECT_EQ(outbox.Add(observation), Outcome::kAccepted);
  EXPECT_TRUE(outbox.Next());
}

TEST(ObservationOutbox, ClearedForANewEpisode) {
  ObservationOutbox outbox({});
  outbox.Add(At(0));
  outbox.Clear();
  EXPECT_FALSE(outbox.Next());
  EXPECT_EQ(outbox.frames(), 0U);
}

}  // namespace
}  // namespace automot::planning
