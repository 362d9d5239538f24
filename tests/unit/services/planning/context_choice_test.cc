// Which context a plan uses: latest, exactly, at least, pinned (semantics 4).
#include "tests/unit/services/planning/engine_fixture.h"

namespace automot::planning {
namespace {

using ::testing::HasSubstr;

class ContextChoiceTest : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    Open();
  }
  SnapshotId IdOf(uint64_t version) {
    return {.session = 0, .episode = 1, .epoch = channel_.request().epoch, .version = version};
  }
  PlanCall Exactly(SessionTimeUs time_us, const SnapshotId& id) {
    PlanCall call = CallAt(time_us);
    call.choice = {ContextChoice::Kind::kExactly, id};
    return call;
  }
  PlanCall AtLeast(SessionTimeUs time_us, uint64_t version) {
    PlanCall call = CallAt(time_us);
    call.choice = {ContextChoice::Kind::kAtLeast, {.version = version}};
    return call;
  }
};

TEST_F(ContextChoiceTest, ExactlyGivesARetainedVersionOrNotFound) {
  for (SessionTimeUs t = 0; t < 6; ++t) channel_.Publish(t * 10'000);  // 4 are retained
  const Answer third = Plan(Exactly(100'000, IdOf(3)));
  EXPECT_EQ(third.result.snapshot.version, 3U);
  EXPECT_EQ(third.result.trajectory.route[0].y, 3.0);
  EXPECT_EQ(third.result.version_gap, 3U);
  const Answer gone = Plan(Exactly(100'000, IdOf(2)));
  EXPECT_EQ(gone.status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(gone.status.message()), HasSubstr("version 2 of epoch"));
  EXPECT_EQ(Plan(Exactly(100'000, IdOf(99))).status.code(), absl::StatusCode::kNotFound);
  SnapshotId other_epoch = IdOf(3);
  ++other_epoch.epoch;
  EXPECT_EQ(Plan(Exactly(100'000, other_epoch)).status.code(), absl::StatusCode::kNotFound);
}

TEST_F(ContextChoiceTest, ExactlyAnOldVersionIsJudgedButPutsTheSessionIntoNoRecovery) {
  channel_.Publish(0);
  channel_.Publish(1'400'000);
  const Answer old = Plan(Exactly(1'500'000, IdOf(1)));
  EXPECT_TRUE(old.Has(Reason::kExpired) && old.IsFallback());
  EXPECT_TRUE(PlanAt(1'550'000).result.reasons.empty());
}

TEST_F(ContextChoiceTest, ExactlyAnExpiredVersionDoesNotWait) {
  channel_.Publish(0);
  PlanCall call = Exactly(1'500'000, IdOf(1));
  call.on_expired = OnExpired::kWait;
  EXPECT_TRUE(Plan(call).IsFallback()) << "it never gets younger";
}

TEST_F(ContextChoiceTest, ExactlyANewerVersionThanTheObservationIsFlagged) {
  channel_.Publish(100'000);
  const Answer answer = Plan(Exactly(50'000, IdOf(1)));
  EXPECT_EQ(answer.result.snapshot.version, 1U);
  EXPECT_TRUE(answer.Has(Reason::kContextFromFuture));
}

TEST_F(ContextChoiceTest, AtLeastIsSatisfiedByThatVersionOrANewerOne) {
  const Answer none = Plan(AtLeast(0, 1));
  EXPECT_EQ(none.status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(none.status.message()),
              HasSubstr("context.at_least_version is 1; the newest visible version of the current "
                        "epoch is 0"));
  channel_.Publish(0);
  channel_.Publish(10'000);
  EXPECT_EQ(Plan(AtLeast(50'000, 1)).result.snapshot.version, 2U);
  EXPECT_EQ(Plan(AtLeast(50'000, 2)).result.snapshot.version, 2U);
  const Answer refused = Plan(AtLeast(50'000, 3));
  EXPECT_EQ(refused.status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status.message()), HasSubstr("is 3; the newest"));
}

TEST_F(ContextChoiceTest, AtLeastSpeaksOfTheCurrentEpoch) {
  for (SessionTimeUs t = 0; t < 3; ++t) channel_.Publish(t * 10'000);
  const int attaches = channel_.attaches();
  channel_.SetLink(context::LinkState::kDown, absl::UnavailableError("gone"));
  clock_.Advance(absl::Seconds(1));
  ASSERT_TRUE(Eventually([&] { return channel_.attaches() > attaches; }));
  EXPECT_EQ(Plan(AtLeast(50'000, 1)).status.code(), absl::StatusCode::kFailedPrecondition);
  const Answer latest = PlanAt(50'000);
  EXPECT_EQ(latest.result.snapshot.version, 3U) << "the old epoch's context still serves";
  EXPECT_EQ(latest.result.version_gap, 0U) << "versions of two epochs have no distance";
  channel_.Publish(40'000);
  EXPECT_EQ(Plan(AtLeast(50'000, 1)).result.snapshot.version, 1U);
}

TEST_F(ContextChoiceTest, APinKeepsAVersionForExactly) {
  channel_.Publish(0);
  const auto pinned = engine_->PinContext("car", car_lease_, std::nullopt, 1'000'000);
  ASSERT_TRUE(pinned.ok()) << pinned.status();
  EXPECT_EQ(pinned->snapshot.version, 1U);
  for (SessionTimeUs t = 1; t < 8; ++t) channel_.Publish(t * 10'000);
  EXPECT_EQ(Plan(Exactly(100'000, IdOf(1))).result.snapshot.version, 1U);
  EXPECT_EQ(PlanAt(100'000).result.snapshot.version, 8U) << "latest is not affected";
  EXPECT_TRUE(engine_->ReleaseContext("car", car_lease_, pinned->context_lease).ok());
  EXPECT_TRUE(engine_->ReleaseContext("car", car_lease_, pinned->context_lease).ok())
      << "twice is OK";
  EXPECT_EQ(Plan(Exactly(150'000, IdOf(1))).status.code(), absl::StatusCode::kNotFound);
}

TEST_F(ContextChoiceTest, APinEndsBySessionTime) {
  channel_.Publish(0);
  ASSERT_TRUE(PlanAt(0).status.ok());
  ASSERT_TRUE(engine_->PinContext("car", car_lease_, IdOf(1), 200'000).ok());
  for (SessionTimeUs t = 1; t < 8; ++t) channel_.Publish(t * 10'000);
  clock_.Advance(absl::Minutes(1));
  EXPECT_TRUE(Plan(Exactly(200'000, IdOf(1))).status.ok());
  EXPECT_EQ(Plan(Exactly(200'001, IdOf(1))).status.code(), absl::StatusCode::kNotFound);
}

TEST_F(ContextChoiceTest, ReleasingAPinTakesNothingFromUnderAPlan) {
  channel_.Publish(0);
  const auto pinned = engine_->PinContext("car", car_lease_, std::nullopt, 1'000'000);
  for (SessionTimeUs t = 1; t < 8; ++t) channel_.Publish(t * 10'000);
  HoldExpert();
  PendingAnswer held = Send(Exactly(100'000, IdOf(1)));
  ASSERT_TRUE(gate_.WaitForArrivals(1));
  ASSERT_TRUE(engine_->ReleaseContext("car", car_lease_, pinned->context_lease).ok());
  gate_.Open();
  EXPECT_EQ(Await(std::move(held)).result.trajectory.route[0].y, 1.0);
}

TEST_F(ContextChoiceTest, PinsHaveALimitATimeAndAVersionThatExists) {
  EXPECT_EQ(engine_->PinContext("car", car_lease_, std::nullopt, 1'000).status().code(),
            absl::StatusCode::kNotFound)
      << "there is none yet";
  channel_.Publish(0);
  EXPECT_EQ(engine_->PinContext("car", car_lease_, IdOf(2), 1'000).status().code(),
            absl::StatusCode::kNotFound);
  for (const SessionTimeUs ttl_us :
       {SessionTimeUs{0}, SessionTimeUs{-1}, SessionTimeUs{60'000'001}}) {
    const auto refused = engine_->PinContext("car", car_lease_, std::nullopt, ttl_us);
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(refused.status().message()),
                HasSubstr(absl::StrCat("ttl_us is ", ttl_us)));
  }
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(engine_->PinContext("car", car_lease_, std::nullopt, 60'000'000).ok());
  }
  const auto refused = engine_->PinContext("car", car_lease_, std::nullopt, 1'000);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("4 pins; the limit is 4"));
  Open("van", OptionsOf(TimeMode::kRealtime));
  channel_.Publish(0, nullptr, "van");
  EXPECT_TRUE(engine_->PinContext("van", 1, std::nullopt, 1'000).ok()) << "quotas are per session";
}

TEST_F(ContextChoiceTest, AResetEndsPins) {
  channel_.Publish(0);
  ASSERT_TRUE(engine_->PinContext("car", car_lease_, std::nullopt, 1'000'000).ok());
  ASSERT_TRUE(engine_->ResetSession("car", car_lease_).ok());
  EXPECT_EQ(Plan(Exactly(0, IdOf(1))).status.code(), absl::StatusCode::kNotFound);
}

TEST_F(ContextChoiceTest, NoSessionSeesAnothersContext) {
  channel_.Publish(0, nullptr, "car");
  Open("van", OptionsOf(TimeMode::kRealtime));
  PlanCall call = Exactly(50'000, IdOf(1));
  call.session = "van";
  EXPECT_EQ(Plan(call).status.code(), absl::StatusCode::kNotFound);
}

TEST_F(ContextChoiceTest, TheVersionGapCountsWhatWasPublishedSince) {
  channel_.Publish(0);
  channel_.Publish(100'000);
  channel_.Publish(200'000);
  EXPECT_EQ(PlanAt(50'000).result.version_gap, 2U);
  EXPECT_EQ(PlanAt(200'000).result.version_gap, 0U);
}

}  // namespace
}  // namespace automot::planning
