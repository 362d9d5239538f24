// A name, a slot and a writer that outlived their session: nothing of the former vehicle reaches
// the next one of that name, nor the other way round.
#include <atomic>
#include <thread>

#include "tests/unit/services/planning/engine_fixture.h"

namespace automot::planning {
namespace {

constexpr SessionTimeUs kFormerTimeUs = 7'000'000;  // beyond anything that the next vehicle says

class NameReuseTest : public EngineTest {
 protected:
  OpenedSession OpenFor(const std::string& client, TimeMode mode = TimeMode::kRealtime) {
    auto opened = engine_->OpenSession("car", "", OptionsOf(mode), client);
    EXPECT_TRUE(opened.ok()) << opened.status();
    return opened.value_or(OpenedSession());
  }
  PlanCall CallOf(const OpenedSession& session, SessionTimeUs time_us) {
    PlanCall call = CallAt(time_us);
    call.lease = session.lease;
    return call;
  }
  // The former vehicle drove, with a context; then it fell silent, and its session expired.
  OpenedSession DriveAndExpire() {
    const OpenedSession former = OpenFor("former");
    EXPECT_TRUE(Plan(CallOf(former, kFormerTimeUs)).status.ok());
    EXPECT_TRUE(channel_.Publish(kFormerTimeUs));
    EXPECT_FALSE(Plan(CallOf(former, kFormerTimeUs + 50'000)).IsFallback());
    Expire();
    return former;
  }
  void Expire() {
    clock_.Advance(absl::Minutes(10) + absl::Milliseconds(1));
    EXPECT_TRUE(Eventually([&] { return engine_->session_count() == 0; }));
  }
};

TEST_F(NameReuseTest, TheWriterOfAnExpiredSessionWritesNoneOfThatName) {
  const OpenedSession former = DriveAndExpire();
  const OpenedSession next = OpenFor("next");
  EXPECT_GT(next.lease, former.lease);
  EXPECT_EQ(Plan(CallOf(former, kFormerTimeUs + 100'000)).status.code(),
            absl::StatusCode::kAborted);
  EXPECT_TRUE(absl::IsAborted(engine_->ResetSession("car", former.lease).status()));
  EXPECT_TRUE(absl::IsAborted(engine_->CloseSession("car", former.lease)));
  EXPECT_TRUE(absl::IsAborted(engine_->KeepAlive("car", former.lease).status()));
  EXPECT_TRUE(
      absl::IsAborted(engine_->PinContext("car", former.lease, std::nullopt, 1'000).status()));
  EXPECT_TRUE(Plan(CallOf(next, 0)).status.ok()) << "an observation of the other would be a jump";
  EXPECT_EQ(engine_->GetSessionStatus("car")->observation_us, 0);
}

TEST_F(NameReuseTest, TheTokenOfAnExpiredSessionTakesNoneOver) {
  const OpenedSession former = DriveAndExpire();
  const OpenedSession next = OpenFor("next");
  EXPECT_NE(next.resume_token, former.resume_token);
  EXPECT_TRUE(absl::IsPermissionDenied(
      engine_->OpenSession("car", former.resume_token, OptionsOf(TimeMode::kRealtime), "former")
          .status()));
  EXPECT_TRUE(Plan(CallOf(next, 0)).status.ok()) << "its lease holds";
}

TEST_F(NameReuseTest, ANewerWriterOfAFormerSessionIsFencedAsWell) {
  const OpenedSession former = OpenFor("former");
  const auto taken_over =
      engine_->OpenSession("car", former.resume_token, OptionsOf(TimeMode::kRealtime), "former");
  ASSERT_TRUE(taken_over.ok());
  ASSERT_TRUE(engine_->CloseSession("car", taken_over->lease).ok());
  const OpenedSession next = OpenFor("next");
  EXPECT_GT(next.lease, taken_over->lease);
  EXPECT_EQ(Plan(CallOf(*taken_over, 0)).status.code(), absl::StatusCode::kAborted);
}

TEST_F(NameReuseTest, AWriterThatIsFencedAtThatMomentNeitherClosesNorResets) {
  for (int round = 0; round < 300; ++round) {
    const OpenedSession former = OpenFor("former");
    std::atomic<bool> ready{false}, go{false};
    std::thread leaving([&] {
      ready = true;
      while (!go.load()) {
        std::this_thread::yield();
      }
      if (round % 2 == 0) {
        engine_->CloseSession("car", former.lease).IgnoreError();
      } else {
        engine_->ResetSession("car", former.lease).status().IgnoreError();
      }
    });
    while (!ready.load()) {
      std::this_thread::yield();
    }
    go = true;
    const auto next =
        engine_->OpenSession("car", former.resume_token, OptionsOf(TimeMode::kRealtime), "former");
    leaving.join();
    if (!next.ok()) continue;  // closed before
    const auto status = engine_->GetSessionStatus("car");
    ASSERT_TRUE(status.ok()) << "round " << round << ": closed under its new writer";
    ASSERT_EQ(status->episode, next->episode) << "round " << round << ": reset under it";
    ASSERT_TRUE(engine_->CloseSession("car", next->lease).ok());
  }
}

TEST_F(NameReuseTest, ContextHistoryAndRouteOfTheFormerVehicleAreGone) {
  DriveAndExpire();
  const std::size_t before = channel_.submitted().size();
  const OpenedSession next = OpenFor("next");
  EXPECT_EQ(engine_->GetSessionStatus("car")->latest.version, 0U);
  const Answer first = Plan(CallOf(next, 0));
  ASSERT_TRUE(first.status.ok()) << first.status;
  EXPECT_TRUE(first.Has(Reason::kNoContext));
  EXPECT_FALSE(first.Has(Reason::kTimeJump));
  EXPECT_EQ(first.episode, 1U);
  ASSERT_TRUE(channel_.Publish(0));
  EXPECT_FALSE(Plan(CallOf(next, 50'000)).IsFallback());
  const auto submitted = channel_.submitted();
  ASSERT_GT(submitted.size(), before);
  for (std::size_t i = before; i < submitted.size(); ++i) {
    for (const auto& frame : submitted[i]->frames) {
      EXPECT_LT(frame->capture_time_us, kFormerTimeUs) << "a picture of the other's in the history";
    }
  }
}

TEST_F(NameReuseTest, AParkedPlanOfTheFormerVehicleIsNotAnsweredWithTheNextOnesContext) {
  const OpenedSession former = OpenFor("former", TimeMode::kStepped);
  PendingAnswer parked = Send(CallOf(former, 0));
  ASSERT_TRUE(AwaitParked(1));
  ASSERT_TRUE(engine_->CloseSession("car", former.lease).ok());
  const OpenedSession next = OpenFor("next", TimeMode::kStepped);
  ASSERT_TRUE(channel_.Publish(0));
  EXPECT_EQ(Await(std::move(parked)).status.code(), absl::StatusCode::kAborted);
  const Answer own = Plan(CallOf(next, 0));
  EXPECT_TRUE(own.status.ok()) << own.status;
  EXPECT_FALSE(own.IsFallback());
}

TEST_F(NameReuseTest, APlanThatWasRunningWhenItsSlotWasGivenAwayKeepsItsOwnContext) {
  const OpenedSession former = OpenFor("former");
  ASSERT_TRUE(Plan(CallOf(former, kFormerTimeUs)).status.ok());
  ASSERT_TRUE(channel_.Publish(kFormerTimeUs));
  const int before = gate_.arrivals();
  HoldExpert();
  PendingAnswer running = Send(CallOf(former, kFormerTimeUs + 50'000));
  ASSERT_TRUE(gate_.WaitForArrivals(before + 1));
  ASSERT_TRUE(engine_->CloseSession("car", former.lease).ok());
  OpenFor("next");
  ASSERT_TRUE(channel_.Publish(0));
  gate_.Open();
  const Answer answer = Await(std::move(running));
  EXPECT_TRUE(!answer.status.ok() || answer.result.snapshot_capture_us == kFormerTimeUs);
  EXPECT_EQ(engine_->GetSessionStatus("car")->latest_capture_us, 0);
}

TEST_F(NameReuseTest, AProcessThatFollowsAnotherGivesHigherLeases) {
  PlanningEngineOptions options;
  options.first_lease = 1'000;
  Start(options);
  const OpenedSession session = OpenFor("next");
  EXPECT_EQ(session.lease, 1'000U);
  PlanCall of_the_former_process = CallOf({.lease = 999}, 0);
  EXPECT_EQ(Plan(std::move(of_the_former_process)).status.code(), absl::StatusCode::kAborted);
}

}  // namespace
}  // namespace automot::planning
