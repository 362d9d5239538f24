// Sessions, leases, episodes (semantics 2).
#include <set>

#include "tests/unit/services/planning/engine_fixture.h"

namespace automot::planning {
namespace {

using ::testing::HasSubstr;

class PlanningSessionsTest : public EngineTest {};

TEST(SessionNameTest, Has1To128PrintableCharacters) {
  EXPECT_TRUE(ValidateSessionName("a").ok());
  EXPECT_TRUE(ValidateSessionName(std::string(128, '~')).ok());
  for (const std::string& bad :
       {std::string(), std::string(129, 'a'), std::string("a b"), std::string("a\nb"),
        std::string("caf\xc3\xa9"), std::string("a\0b", 3)}) {
    const absl::Status status = ValidateSessionName(bad);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_THAT(std::string(status.message()), HasSubstr("1 to 128"));
  }
}

TEST(SessionOptionsTest, NameFieldValueAndLimit) {
  const auto message = [](auto edit) {
    SessionOptions options = OptionsOf(TimeMode::kStepped);
    edit(options);
    const absl::Status status = ValidateSessionOptions(options);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_TRUE(ValidateSessionOptions(OptionsOf(TimeMode::kStepped)).ok());
  EXPECT_THAT(
      message([](auto& o) { o.planning_rate_hz = std::nan(""); }),
      HasSubstr("options.planning_rate_hz is nan; the limits are above 0 and at most 1000"));
  EXPECT_THAT(message([](auto& o) { o.reasoning_rate_hz = 100.5; }),
              HasSubstr("options.reasoning_rate_hz is 100.5"));
  EXPECT_THAT(message([](auto& o) { o.hard_staleness_us = 499'999; }),
              HasSubstr("options.hard_staleness_us is 499999 us; the limits are 500000"));
  EXPECT_THAT(message([](auto& o) { o.retention_us = 999'999; }),
              HasSubstr("options.retention_us is 999999 us; the limits are 1000000"));
  EXPECT_THAT(message([](auto& o) { o.simulated_latency_us = 10'000'001; }),
              HasSubstr("options.simulated_latency_us is 10000001"));
  EXPECT_THAT(message([](auto& o) {
                o.simulated_latency_us = 1'000;
                o.time_mode = TimeMode::kRealtime;
              }),
              HasSubstr("needs time_mode STEPPED"));
  EXPECT_THAT(message([](auto& o) {
                o.time_mode = TimeMode::kLockstep;
                o.lockstep_ticks = 1001;
              }),
              HasSubstr("options.lockstep_ticks is 1001; the limits are 1 and 1000"));
  // Contexts that are published but not visible must be retained: their number is bounded.
  EXPECT_THAT(message([](auto& o) {
                o.simulated_latency_us = 5'000'000;
                o.reasoning_rate_hz = 5.0;
              }),
              HasSubstr("25 contexts would be on their way; the limit is 24"));
}

TEST_F(PlanningSessionsTest, OpeningGivesEachSessionATokenNobodyCanGuess) {
  std::set<std::string> tokens;
  for (const std::string name : {"a", "b", "c"}) {
    const OpenedSession opened = Open(name, OptionsOf(TimeMode::kRealtime));
    EXPECT_EQ(opened.lease, 1U);
    EXPECT_EQ(opened.episode, 1U);
    EXPECT_EQ(opened.resume_token.size(), 32U) << "128 random bits";
    tokens.insert(opened.resume_token);
  }
  EXPECT_EQ(tokens.size(), 3U);
  EXPECT_EQ(engine_->session_count(), 3U);
}

TEST_F(PlanningSessionsTest, AnOpenNameIsTakenUntilItIsClosed) {
  Open();
  const auto again = engine_->OpenSession("car", "", OptionsOf(TimeMode::kRealtime));
  EXPECT_EQ(again.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(again.status().message()), HasSubstr("'car'"));
  EXPECT_TRUE(engine_->CloseSession("car", car_lease_).ok());
  EXPECT_TRUE(engine_->CloseSession("car", car_lease_).ok()) << "closing a closed one is OK";
  EXPECT_EQ(Open().episode, 1U);
}

TEST_F(PlanningSessionsTest, OneSessionTooManyIsRefusedAndTheLimitNamed) {
  PlanningEngineOptions options;
  options.session_limit = 2;
  Start(options);
  Open("a", OptionsOf(TimeMode::kRealtime));
  Open("b", OptionsOf(TimeMode::kRealtime));
  const auto refused = engine_->OpenSession("c", "", OptionsOf(TimeMode::kRealtime));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("2"));
  EXPECT_TRUE(engine_->CloseSession("a", 1).ok());
  Open("c", OptionsOf(TimeMode::kRealtime));
}

TEST_F(PlanningSessionsTest, AnotherModelRevisionIsRefused) {
  SessionOptions options = OptionsOf(TimeMode::kRealtime);
  options.required_model_revision = "another";
  const auto refused = engine_->OpenSession("car", "", options);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("'another'"));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("'fake-revision'"));
  options.required_model_revision = "fake-revision";
  Open("car", options);
}

TEST_F(PlanningSessionsTest, TheTokenTakesTheSessionOverAndFencesTheOlderWriter) {
  const OpenedSession first = Open();
  EXPECT_TRUE(PlanAt(0).status.ok());
  const auto second =
      engine_->OpenSession("car", first.resume_token, OptionsOf(TimeMode::kRealtime));
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->lease, 2U);
  EXPECT_EQ(second->episode, 1U) << "the world goes on";

  const Answer fenced = PlanAt(50'000);
  EXPECT_EQ(fenced.status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(fenced.status.message()), HasSubstr("lease is 1"));
  EXPECT_THAT(std::string(fenced.status.message()), HasSubstr("lease 2 now"));
  EXPECT_EQ(engine_->ResetSession("car", 1).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(engine_->KeepAlive("car", 1).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(engine_->CloseSession("car", 1).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(engine_->PinContext("car", 1, std::nullopt, 1).status().code(),
            absl::StatusCode::kAborted);
  EXPECT_EQ(engine_->ReleaseContext("car", 1, 1).code(), absl::StatusCode::kAborted);
  EXPECT_TRUE(engine_->GetSessionStatus("car").ok()) << "reading needs no lease";

  sequence_ = 0;  // the sequence belongs to the lease
  PlanCall call = CallAt(50'000);
  call.lease = 2;
  EXPECT_TRUE(Plan(call).status.ok());
}

TEST_F(PlanningSessionsTest, AWrongTokenAndAnUnknownSessionAreRefused) {
  Open();
  EXPECT_EQ(engine_->OpenSession("car", "0123", OptionsOf(TimeMode::kRealtime)).status().code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(engine_->OpenSession("van", "0123", OptionsOf(TimeMode::kRealtime)).status().code(),
            absl::StatusCode::kUnimplemented);
  PlanCall call = CallAt(0);
  call.session = "van";
  EXPECT_EQ(Plan(call).status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(engine_->ResetSession("van", 1).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(engine_->KeepAlive("van", 1).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(engine_->GetSessionStatus("van").status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(engine_->CloseSession("van", 1).ok());
}

TEST_F(PlanningSessionsTest, AResetHidesSnapshotsRouteAndControllerAtOnce) {
  SessionOptions options = OptionsOf(TimeMode::kRealtime);
  options.run_controller = true;
  Open("car", options);
  channel_.Publish(0);
  const Answer before = PlanAt(100'000);
  EXPECT_EQ(before.result.snapshot.version, 1U);
  // Two more ticks change what the controller remembers.
  PlanAt(150'000);
  PlanAt(200'000);

  EXPECT_EQ(engine_->ResetSession("car", car_lease_)->episode, 2U);
  // The vehicle was teleported and turned, its time goes on: the old route must not be moved along.
  PlanCall call = CallAt(250'000);
  call.observation.ego.pose = Pose2{{0.0, 0.0}, 0.5};
  const Answer after = Plan(call);
  ASSERT_TRUE(after.status.ok()) << after.status;
  EXPECT_EQ(after.episode, 2U);
  EXPECT_TRUE(after.Has(Reason::kNoContext) && after.IsFallback());
  EXPECT_EQ(after.result.snapshot.version, 0U);
  for (const Vec2& point : after.result.trajectory.route) EXPECT_EQ(point.y, 0.0);

  // A controller without memory gives a fresh session's first command.
  Open("fresh", options);
  call = CallAt(250'000);
  call.session = "fresh";
  call.observation.ego.pose = Pose2{{0.0, 0.0}, 0.5};
  const Answer fresh = Plan(call);
  ASSERT_TRUE(after.result.control && fresh.result.control);
  EXPECT_EQ(after.result.control->throttle, fresh.result.control->throttle);
  EXPECT_EQ(after.result.control->brake, fresh.result.control->brake);
  EXPECT_EQ(after.result.control->steer, fresh.result.control->steer);
}

TEST_F(PlanningSessionsTest, AResetForgetsTheCameraAndTheHalfSweep) {
  SessionOptions options = OptionsOf(TimeMode::kRealtime);
  options.on_missing_modality = OnMissingModality::kFlag;
  Open("car", options);
  const auto half = [&](SessionTimeUs time_us) {
    PlanCall call = CallAt(time_us);
    auto points = std::make_shared<LidarPoints>();
    points->capture_time_us = time_us;
    points->xyz = {1.0F, 1.0F, 1.0F};
    call.observation.lidar = LidarMeasurement{.points = points, .half_sweep = true};
    return call;
  };
  EXPECT_TRUE(Plan(half(0)).Has(Reason::kHalfSweep));
  EXPECT_FALSE(Plan(half(50'000)).Has(Reason::kHalfSweep));
  ASSERT_TRUE(engine_->ResetSession("car", car_lease_).ok());
  PlanCall call = half(0);
  call.observation.camera_frames.clear();
  const Answer after = Plan(call);
  EXPECT_TRUE(after.Has(Reason::kHalfSweep));
  EXPECT_FALSE(after.has_camera);
}

TEST_F(PlanningSessionsTest, SlowWorkOfAnOlderEpisodeIsDropped) {
  Open();
  ASSERT_TRUE(engine_->ResetSession("car", car_lease_).ok());
  channel_.Publish(0, [](context::ContextSnapshot& late) { late.header.id.episode = 1; });
  EXPECT_TRUE(PlanAt(100'000).Has(Reason::kNoContext));
  EXPECT_EQ(engine_->GetSessionStatus("car")->rejected, 1U);
  channel_.Publish(50'000);
  EXPECT_EQ(PlanAt(150'000).result.snapshot.episode, 2U);
}

TEST_F(PlanningSessionsTest, ParkedPlansOfAnEndedEpisodeOrSessionAreAborted) {
  Open(TimeMode::kStepped);
  PendingAnswer parked = SendAt(0);
  ASSERT_TRUE(AwaitParked(1));
  ASSERT_TRUE(engine_->ResetSession("car", car_lease_).ok());
  const Answer ended = Await(std::move(parked));
  EXPECT_EQ(ended.status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(ended.status.message()), HasSubstr("episode 1 ended"));

  parked = SendAt(0);
  ASSERT_TRUE(AwaitParked(1));
  ASSERT_TRUE(engine_->CloseSession("car", car_lease_).ok());
  EXPECT_EQ(Await(std::move(parked)).status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(engine_->load().parked, 0U);
  EXPECT_FALSE(channel_.attached());
}

TEST_F(PlanningSessionsTest, AnIdleSessionExpiresByWallTimeAndOnlyThen) {
  Open();
  Open("busy", OptionsOf(TimeMode::kRealtime));
  clock_.Advance(absl::Minutes(10));
  EXPECT_EQ(*engine_->KeepAlive("busy", 1), absl::Minutes(10));
  clock_.Advance(absl::Milliseconds(1));
  EXPECT_TRUE(Eventually([&] { return engine_->session_count() == 1; }));
  EXPECT_EQ(engine_->GetSessionStatus("car").status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(engine_->GetSessionStatus("busy").ok());
  EXPECT_FALSE(channel_.attached("car"));
  EXPECT_TRUE(channel_.attached("busy"));
}

TEST_F(PlanningSessionsTest, APlanRenewsTheLease) {
  Open();
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(absl::Minutes(9));
    EXPECT_TRUE(PlanAt(0).status.ok());
  }
  EXPECT_EQ(engine_->session_count(), 1U);
}

TEST_F(PlanningSessionsTest, TheStatusSaysWhatTheSessionIsDoing) {
  Open(TimeMode::kStepped);
  SessionStatus status = *engine_->GetSessionStatus("car");
  EXPECT_EQ(status.latest.version, 0U);
  EXPECT_FALSE(status.observation_us || status.latest_capture_us);

  PendingAnswer parked = SendAt(0);
  ASSERT_TRUE(AwaitParked(1));
  EXPECT_EQ(engine_->GetSessionStatus("car")->parked, 1U);
  channel_.SetLink(context::LinkState::kUp);
  channel_.Publish(0);
  EXPECT_TRUE(Await(std::move(parked)).status.ok());
  ASSERT_TRUE(Eventually([&] { return engine_->load().pending == 0; }));

  status = *engine_->GetSessionStatus("car");
  EXPECT_EQ(status.parked, 0U);
  EXPECT_EQ(status.latest.version, 1U);
  EXPECT_EQ(status.latest_capture_us, 0);
  EXPECT_EQ(status.observation_us, 0);
  EXPECT_EQ(status.retained, 1U);
  EXPECT_EQ(status.answered, 1U);
  EXPECT_EQ(status.published, 1U);
  EXPECT_EQ(status.fallback, 0U);
  EXPECT_EQ(status.link_state, context::LinkState::kUp);
  EXPECT_EQ(status.link_message, "");
}

TEST_F(PlanningSessionsTest, AttachingAsksForWhatTheSessionDeclared) {
  Open();
  const context::AttachRequest realtime = channel_.request("car");
  EXPECT_EQ(realtime.session_name, "car");
  EXPECT_EQ(realtime.reasoning_rate_hz, 2.0);
  EXPECT_EQ(realtime.model_revision, "fake-revision");
  EXPECT_FALSE(realtime.lossless);
  EXPECT_GT(realtime.epoch, 0U);
  Open("lockstep", OptionsOf(TimeMode::kLockstep));
  EXPECT_TRUE(channel_.request("lockstep").lossless);
}

TEST_F(PlanningSessionsTest, ADrainingServiceRefusesSessionsAndPlansAndReleasesWhatIsParked) {
  Open(TimeMode::kStepped);
  PendingAnswer parked = SendAt(0);
  ASSERT_TRUE(AwaitParked(1));
  EXPECT_TRUE(engine_->Drain(absl::Seconds(30)).ok());
  ASSERT_TRUE(IsReady(parked)) << "a drain ends when every accepted plan is answered";
  const Answer released = parked.get();
  EXPECT_TRUE(released.status.ok());
  EXPECT_TRUE(released.IsFallback() && released.Has(Reason::kNoContext));
  EXPECT_EQ(PlanAt(50'000).status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(engine_->OpenSession("van", "", OptionsOf(TimeMode::kRealtime)).status().code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(PlanningSessionsTest, ADrainThatTakesTooLongSaysHowManyPlansAreLeft) {
  Open();
  channel_.Publish(0);
  HoldExpert();
  PendingAnswer held = SendAt(0);
  ASSERT_TRUE(gate_.WaitForArrivals(1));
  const absl::Status drained = engine_->Drain(absl::Milliseconds(1));
  EXPECT_EQ(drained.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(drained.message()), HasSubstr("1 plans"));
  gate_.Open();
  EXPECT_TRUE(Await(std::move(held)).status.ok()) << "accepted work is finished";
}

}  // namespace
}  // namespace automot::planning
