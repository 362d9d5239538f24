// A session that goes from one planning replica to another (semantics 2): two engines with the same
// key; the reasoning side is in the test's hands.
#include "tests/unit/services/planning/engine_fixture.h"

namespace automot::planning {
namespace {

using context::LinkState;
using ::testing::HasSubstr;

class SessionAdoptionTest : public EngineTest {
 protected:
  void SetUp() override {
    options_.session_key = std::string(32, 'k');
    Start(options_);
    other_ = *PlanningEngine::Create(options_, &other_expert_, &other_channel_, &clock_, &metrics_);
  }
  void TearDown() override {
    other_.reset();
    EngineTest::TearDown();
  }
  absl::StatusOr<OpenedSession> OpenAtOther(const std::string& name, const std::string& token) {
    return other_->OpenSession(name, token, OptionsOf(TimeMode::kRealtime));
  }

  PlanningEngineOptions options_;
  FakeActionExpert other_expert_;
  context::FakeSnapshotChannel other_channel_;
  std::unique_ptr<PlanningEngine> other_;
};

TEST_F(SessionAdoptionTest, AnotherReplicaServesTheSessionWithItsOptionsAndANewerEpoch) {
  SessionOptions options = OptionsOf(TimeMode::kRealtime);
  options.reasoning_rate_hz = 5.0;
  options.hard_staleness_us = 1'234'567;
  const OpenedSession first = Open("car", options);
  const auto reset = engine_->ResetSession("car", first.lease);
  ASSERT_TRUE(reset.ok()) << reset.status();
  EXPECT_EQ(reset->episode, 2U);
  EXPECT_EQ(reset->lease, first.lease) << "it goes on writing";
  EXPECT_NE(reset->resume_token, first.resume_token);
  const auto adopted = OpenAtOther("car", reset->resume_token);
  ASSERT_TRUE(adopted.ok()) << adopted.status();
  EXPECT_EQ(adopted->episode, 2U) << "as the token has it";
  const context::AttachRequest asked = other_channel_.request();
  EXPECT_EQ(asked.session_name, "car");
  EXPECT_EQ(asked.episode, 2U);
  EXPECT_EQ(asked.reasoning_rate_hz, 5.0) << "the token's options, not the request's";
  EXPECT_EQ(asked.staleness_budget_us, 1'234'567);
  EXPECT_GT(asked.epoch, channel_.request().epoch) << "fences the other replica";
  // And on from there, or back.
  EXPECT_TRUE(other_->OpenSession("car", adopted->resume_token, options).ok());
  EXPECT_TRUE(engine_->OpenSession("car", adopted->resume_token, options).ok());
  EXPECT_GT(channel_.request().epoch, other_channel_.request().epoch);
}

TEST_F(SessionAdoptionTest, WhatIsNotThereIsFlaggedUntilItComes) {
  const OpenedSession first = Open();
  ASSERT_TRUE(channel_.Publish(0));
  EXPECT_FALSE(PlanAt(50'000).Has(Reason::kNoContext));
  ASSERT_TRUE(OpenAtOther("car", first.resume_token).ok());
  engine_.swap(other_);
  sequence_ = 0;  // of the new lease
  const Answer answer = PlanAt(100'000);
  ASSERT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_TRUE(answer.Has(Reason::kNoContext));
  EXPECT_TRUE(answer.IsFallback());
  ASSERT_TRUE(other_channel_.Publish(100'000));
  EXPECT_FALSE(PlanAt(150'000).Has(Reason::kNoContext));
  engine_.swap(other_);
}

TEST_F(SessionAdoptionTest, ReplicaThatIsFencedEndsTheSessionAndDoesNotFightForIt) {
  const OpenedSession first = Open();
  channel_.SetLink(LinkState::kUp);
  const int attaches = channel_.attaches();
  channel_.SetLink(LinkState::kDown, absl::AbortedError("another epoch"));
  ASSERT_TRUE(Eventually([&] { return engine_->session_count() == 0; }));
  EXPECT_EQ(channel_.attaches(), attaches);
  EXPECT_TRUE(absl::IsNotFound(PlanAt(0).status));
  EXPECT_TRUE(engine_->OpenSession("car", first.resume_token, {}).ok()) << "adopted back";
}

// An epoch that never came into force says nothing of another owner: a clock was set back.
TEST_F(SessionAdoptionTest, RefusedEpochIsMintedAnew) {
  Open();
  channel_.SetLink(LinkState::kDown, absl::AbortedError("not above the epoch in force"));
  const int attaches = channel_.attaches();
  clock_.Advance(absl::Seconds(1));  // above every delay, far below the lease
  ASSERT_TRUE(Eventually([&] { return channel_.attaches() > attaches; }));
  EXPECT_EQ(engine_->session_count(), 1U);
}

TEST_F(SessionAdoptionTest, BadTokensOpenNothing) {
  const OpenedSession first = Open();
  const OpenedSession second = Open("van", OptionsOf(TimeMode::kRealtime));
  for (const std::string& token :
       {std::string(32, 'a'), second.resume_token, first.resume_token + "A"}) {
    EXPECT_TRUE(absl::IsPermissionDenied(OpenAtOther("car", token).status())) << token;
    EXPECT_TRUE(absl::IsPermissionDenied(
        engine_->OpenSession("car", token, OptionsOf(TimeMode::kRealtime)).status()))
        << token;
  }
  EXPECT_EQ(other_->session_count(), 0U);
  options_.session_key = std::string(32, 'x');
  other_ = *PlanningEngine::Create(options_, &other_expert_, &other_channel_, &clock_, &metrics_);
  EXPECT_TRUE(absl::IsPermissionDenied(OpenAtOther("car", first.resume_token).status()));
}

// The name has been opened anew: the token of the session before it does not open it.
TEST_F(SessionAdoptionTest, TokenOfAClosedSessionDoesNotTakeItsSuccessorOver) {
  const OpenedSession first = Open();
  ASSERT_TRUE(engine_->CloseSession("car", first.lease).ok());
  Open();
  EXPECT_TRUE(absl::IsPermissionDenied(
      engine_->OpenSession("car", first.resume_token, OptionsOf(TimeMode::kRealtime)).status()));
}

// A client that tries again and its first try, say: one of them is the writer, and knows it.
TEST_F(SessionAdoptionTest, AdoptedTwiceAtOnceTheLeasesDiffer) {
  for (int i = 0; i < 50; ++i) {
    const std::string name = absl::StrCat("car", i);
    const std::string token = Open(name, OptionsOf(TimeMode::kRealtime)).resume_token;
    auto one = std::async(std::launch::async, [&] { return OpenAtOther(name, token); });
    const auto other = OpenAtOther(name, token);
    const auto first = one.get();
    // Both found no session: the slower one is told that the name is open by now.
    if (!first.ok() || !other.ok()) {
      EXPECT_TRUE(absl::IsAlreadyExists((first.ok() ? other : first).status()));
      EXPECT_TRUE(other_->KeepAlive(name, (first.ok() ? first : other)->lease).ok());
      continue;
    }
    EXPECT_NE(first->lease, other->lease);
    EXPECT_TRUE(other_->KeepAlive(name, std::max(first->lease, other->lease)).ok());
    EXPECT_TRUE(
        absl::IsAborted(other_->KeepAlive(name, std::min(first->lease, other->lease)).status()));
  }
}

TEST_F(SessionAdoptionTest, WithoutAKeyTheFlagIsNamed) {
  options_.session_key.clear();
  other_ = *PlanningEngine::Create(options_, &other_expert_, &other_channel_, &clock_, &metrics_);
  const absl::Status status = OpenAtOther("car", Open().resume_token).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()), HasSubstr("--session-key-file"));
}

TEST_F(SessionAdoptionTest, ReplicaThatDrainsAdoptsNothingAndLetsItsSessionsGo) {
  const OpenedSession first = Open();
  ASSERT_TRUE(other_->Drain(absl::Seconds(1)).ok());
  EXPECT_TRUE(absl::IsUnavailable(OpenAtOther("car", first.resume_token).status()));
}

}  // namespace
}  // namespace automot::planning
