// The reasoning service dies and comes back (promise 13 of the snapshot path, semantics 2 and 6).
#include "tests/unit/services/planning/engine_fixture.h"

namespace automot::planning {
namespace {

class LostLinkTest : public EngineTest {
 protected:
  void Kill() { channel_.SetLink(context::LinkState::kDown, absl::UnavailableError("killed")); }
  // The maintenance attaches again when its delay is over.
  bool AwaitNextAttach() {
    const int before = channel_.attaches();
    clock_.Advance(absl::Seconds(5));
    return Eventually([&] { return channel_.attaches() > before; });
  }
};

TEST_F(LostLinkTest, NoPlanFailsWhileTheReasoningServiceIsGoneAndAllIsWellAfterwards) {
  Open();
  channel_.SetLink(context::LinkState::kUp);
  const uint64_t first_epoch = channel_.request().epoch;
  channel_.Publish(0);
  Kill();
  channel_.set_submit_status(absl::UnavailableError("down"));
  channel_.set_attach_status(absl::UnavailableError("connection refused"));

  // A car that is driven on at 20 Hz.
  const auto reasons_at = [&](SessionTimeUs t) {
    const Answer answer = PlanAt(t);
    EXPECT_TRUE(answer.status.ok()) << answer.status;
    EXPECT_EQ(answer.capture_time_us - answer.result.snapshot_capture_us, t);
    return answer.result.reasons;
  };
  for (SessionTimeUs t = 0; t <= 3'000'000; t += 50'000) {
    const ReasonSet reasons = reasons_at(t);
    EXPECT_EQ(reasons.Has(Reason::kStale), t > 500'000) << t;
    EXPECT_EQ(reasons.Has(Reason::kExpired), t > 1'000'000) << t;
    EXPECT_EQ(reasons.Has(Reason::kFallback), t > 1'000'000) << t;
  }
  SessionStatus status = *engine_->GetSessionStatus("car");
  EXPECT_EQ(status.link_state, context::LinkState::kDown);
  EXPECT_FALSE(status.link_message.empty());

  channel_.set_attach_status(absl::OkStatus());
  channel_.set_submit_status(absl::OkStatus());
  ASSERT_TRUE(AwaitNextAttach());
  channel_.SetLink(context::LinkState::kUp);
  EXPECT_GT(channel_.request().epoch, first_epoch);

  channel_.Publish(3'000'000);
  const Answer held = PlanAt(3'050'000);
  EXPECT_EQ(held.result.snapshot.version, 1U) << "versions start again in the new epoch";
  EXPECT_GT(held.result.snapshot.epoch, first_epoch);
  EXPECT_TRUE(held.IsFallback() && !held.Has(Reason::kExpired)) << "one fresh snapshot";
  channel_.Publish(3'050'000);
  EXPECT_TRUE(PlanAt(3'100'000).result.reasons.empty()) << "two of them";
  status = *engine_->GetSessionStatus("car");
  EXPECT_EQ(status.link_state, context::LinkState::kUp);
  EXPECT_EQ(status.answered, 63U);
}

TEST_F(LostLinkTest, AProducerOfAnOlderEpochIsFenced) {
  Open();
  const uint64_t first_epoch = channel_.request().epoch;
  channel_.Publish(0);
  Kill();
  ASSERT_TRUE(AwaitNextAttach());
  channel_.Publish(50'000, [&](context::ContextSnapshot& snapshot) {
    snapshot.header.id.epoch = first_epoch;
    snapshot.header.id.version = 2;
  });
  EXPECT_EQ(PlanAt(100'000).result.snapshot_capture_us, 0);
  EXPECT_EQ(engine_->GetSessionStatus("car")->rejected, 1U);
}

TEST_F(LostLinkTest, ASnapshotThatIsNotNewerThanTheServedOneIsDroppedWhateverItsEpoch) {
  Open();
  channel_.Publish(100'000);
  Kill();
  ASSERT_TRUE(AwaitNextAttach());
  channel_.Publish(100'000);
  EXPECT_EQ(engine_->GetSessionStatus("car")->rejected, 1U);
  channel_.Publish(100'001);
  EXPECT_EQ(PlanAt(150'000).result.snapshot_capture_us, 100'001);
}

TEST_F(LostLinkTest, AttachingIsTriedAgainWithADelayThatStaysShort) {
  channel_.set_attach_status(absl::UnavailableError("connection refused"));
  Open();
  EXPECT_EQ(channel_.attaches(), 1);
  const auto tried_after = [&](absl::Duration delay) {
    const int before = channel_.attaches();
    clock_.Advance(delay - absl::Milliseconds(1));
    // The maintenance has looked at least once since: it attaches another session.
    const std::string probe = absl::StrCat("probe", before);
    const OpenedSession opened = Open(probe, OptionsOf(TimeMode::kRealtime));
    EXPECT_EQ(channel_.attaches(), before + 1) << "only the probe's own";
    EXPECT_TRUE(engine_->CloseSession(probe, opened.lease).ok());
    clock_.Advance(absl::Milliseconds(1));
    return Eventually([&] { return metrics_.link_downs == before + 2; });
  };
  for (const int delay_ms : {100, 200, 300, 300, 300, 300}) {
    EXPECT_TRUE(tried_after(absl::Milliseconds(delay_ms))) << delay_ms;
  }
  channel_.set_attach_status(absl::OkStatus());
  clock_.Advance(absl::Milliseconds(300));
  EXPECT_TRUE(Eventually([&] { return channel_.attached(); }));
}

TEST_F(LostLinkTest, AClosedSessionIsNeverAttachedAgain) {
  for (int i = 0; i < 50; ++i) {
    channel_.set_attach_status(absl::UnavailableError("connection refused"));
    const std::string name = absl::StrCat("car", i);
    const OpenedSession opened = Open(name, OptionsOf(TimeMode::kRealtime));
    channel_.set_attach_status(absl::OkStatus());
    clock_.Advance(absl::Seconds(1));  // the maintenance attaches, just when the session closes
    EXPECT_TRUE(engine_->CloseSession(name, opened.lease).ok());
    EXPECT_FALSE(channel_.attached(name));
  }
  // One more look of the maintenance at what is left: nothing.
  const int attaches = channel_.attaches();
  Open("last", OptionsOf(TimeMode::kRealtime));
  channel_.SetLink(context::LinkState::kDown, absl::UnavailableError("killed"), "last");
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(Eventually([&] { return channel_.attaches() == attaches + 2; }));
  for (int i = 0; i < 50; ++i) EXPECT_FALSE(channel_.attached(absl::StrCat("car", i)));
}

}  // namespace
}  // namespace automot::planning
