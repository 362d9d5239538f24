// Sessions, episodes, epochs, questions and drain of the reasoning engine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "tests/unit/services/reasoning/engine_fixture.h"

namespace automot::reasoning {
namespace {

using ::testing::HasSubstr;

TEST_F(EngineTest, SlowWorkOfAnOlderEpisodeIsDroppedWhenItWouldPublish) {
  Start();
  fakes::RecordingReceiver receiver;
  ASSERT_TRUE(engine_->Attach(Request(1), &receiver).ok());
  control_->prefill_gate.Close();
  ASSERT_TRUE(SubmitAt(1, 9'000'000).ok());
  ASSERT_TRUE(AwaitPrefill(1));
  ASSERT_TRUE(engine_->Reset(1, 2).ok());
  auto fresh = fakes::SlowObservationAt(1, 100, 1);
  fresh->episode = 2;
  ASSERT_TRUE(engine_->Submit(fresh).ok());
  ASSERT_TRUE(SubmitAt(1, 9'500'000).ok())
      << "an observation of the old episode is dropped without a word";
  control_->prefill_gate.Open();
  ASSERT_TRUE(receiver.WaitForSnapshots(1));
  const context::SnapshotHeader header = receiver.snapshots()[0]->header;
  EXPECT_EQ(header.id.episode, 2U);
  EXPECT_EQ(header.capture_time_us, 100);
  EXPECT_EQ(engine_->status().refreshes_dropped, 1U);
  ASSERT_TRUE(receiver.WaitForFailures(1));
  EXPECT_TRUE(absl::IsAborted(receiver.failures()[0]));
  engine_->Detach(1);
}

TEST_F(EngineTest, NewerEpochFencesTheOlderOwner) {
  Start();
  fakes::RecordingReceiver old_owner, new_owner;
  ASSERT_TRUE(engine_->Attach(Request(1, 10), &old_owner).ok());
  control_->prefill_gate.Close();
  ASSERT_TRUE(SubmitAt(1, 0).ok());
  ASSERT_TRUE(AwaitPrefill(1));
  context::AttachRequest takeover = Request(2, 11);
  takeover.session_name = "car1";
  ASSERT_TRUE(engine_->Attach(takeover, &new_owner).ok());
  ASSERT_TRUE(old_owner.WaitForLink(context::LinkState::kDown));
  EXPECT_TRUE(absl::IsAborted(old_owner.link_states().back().second));
  EXPECT_TRUE(absl::IsNotFound(SubmitAt(1, 50'000)));
  ASSERT_TRUE(SubmitAt(2, 50'000).ok());
  control_->prefill_gate.Open();
  ASSERT_TRUE(new_owner.WaitForSnapshots(1));
  EXPECT_EQ(new_owner.snapshots()[0]->header.id.epoch, 11U);
  EXPECT_EQ(new_owner.snapshots()[0]->header.id.version, 1U);
  EXPECT_TRUE(old_owner.snapshots().empty());
  context::AttachRequest stale = Request(3, 11);
  stale.session_name = "car1";
  EXPECT_TRUE(absl::IsAborted(engine_->Attach(stale, &old_owner)));
  engine_->Detach(1);
  engine_->Detach(2);
}

TEST(SessionTableTest, WhileListenersWaitNoOlderEpochComesBack) {
  SessionTable table({});
  const auto request = [](uint64_t consumer, uint64_t epoch) {
    return context::AttachRequest{.session = consumer, .epoch = epoch, .session_name = "car"};
  };
  AttachmentPtr replaced;
  ASSERT_TRUE(table.Attach(request(1, 10), nullptr, nullptr, &replaced).ok());
  ASSERT_TRUE(table.Listen(request(2, 0), nullptr, nullptr).ok());
  ASSERT_TRUE(table.Remove(1) != nullptr);
  for (const uint64_t epoch : {9, 10}) {
    EXPECT_TRUE(
        absl::IsAborted(table.Attach(request(3, epoch), nullptr, nullptr, &replaced).status()))
        << epoch;
  }
  EXPECT_TRUE(table.Attach(request(3, 11), nullptr, nullptr, &replaced).ok());
  table.Remove(3);
  table.Remove(2);
  EXPECT_TRUE(table.Attach(request(4, 1), nullptr, nullptr, &replaced).ok())
      << "nobody remembers the session";
}

TEST_F(EngineTest, AttachingAgainStartsVersionsAtOneInANewEpoch) {
  Start();
  fakes::RecordingReceiver receiver;
  ASSERT_TRUE(engine_->Attach(Request(1, 10), &receiver).ok());
  ASSERT_TRUE(SubmitAt(1, 0).ok());
  ASSERT_TRUE(receiver.WaitForSnapshots(1));
  ASSERT_TRUE(engine_->Attach(Request(1, 12), &receiver).ok());
  ASSERT_TRUE(SubmitAt(1, 50'000).ok());
  ASSERT_TRUE(receiver.WaitForSnapshots(2));
  const SnapshotId id = receiver.snapshots()[1]->header.id;
  EXPECT_EQ(id.epoch, 12U);
  EXPECT_EQ(id.version, 1U);
  engine_->Detach(1);
}

TEST_F(EngineTest, BadAttachRequestsNameTheField) {
  ReasoningOptions options;
  options.limits.sessions = 1;
  Start(options);
  fakes::RecordingReceiver receiver;
  context::AttachRequest request = Request(1);
  request.reasoning_rate_hz = 101.0;
  EXPECT_EQ(
      engine_->Attach(request, &receiver),
      absl::InvalidArgumentError("reasoning_rate_hz is 101; it must be above 0 and at most 100"));
  request = Request(1, 0);
  EXPECT_TRUE(absl::IsInvalidArgument(engine_->Attach(request, &receiver)));
  request = Request(1);
  request.model_revision = "other";
  EXPECT_TRUE(absl::IsFailedPrecondition(engine_->Attach(request, &receiver)));
  ASSERT_TRUE(engine_->Attach(Request(1), &receiver).ok());
  const absl::Status full = engine_->Attach(Request(2), &receiver);
  EXPECT_TRUE(absl::IsResourceExhausted(full));
  EXPECT_THAT(std::string(full.message()), HasSubstr("1 of 1"));
  engine_->Detach(1);
  EXPECT_TRUE(engine_->Attach(Request(2), &receiver).ok());
  engine_->Detach(2);
}

TEST_F(EngineTest, EarliestDeadlineGoesFirst) {
  Start();
  fakes::RecordingReceiver slow, fast;
  context::AttachRequest slow_request = Request(1), fast_request = Request(2);
  slow_request.reasoning_rate_hz = 1.0;
  fast_request.reasoning_rate_hz = 10.0;
  ASSERT_TRUE(engine_->Attach(slow_request, &slow).ok());
  ASSERT_TRUE(engine_->Attach(fast_request, &fast).ok());
  ASSERT_TRUE(SubmitAt(1, 0).ok());
  ASSERT_TRUE(SubmitAt(2, 0).ok());
  ASSERT_TRUE(slow.WaitForSnapshots(1));
  ASSERT_TRUE(fast.WaitForSnapshots(1));
  control_->prefill_gate.Close();
  ASSERT_TRUE(SubmitAt(1, 1'000'000).ok());
  ASSERT_TRUE(AwaitPrefill(3));  // the worker is busy
  ASSERT_TRUE(SubmitAt(1, 2'000'000).ok());
  ASSERT_TRUE(SubmitAt(2, 1'000'000).ok());
  control_->prefill_gate.Admit(2);
  ASSERT_TRUE(fast.WaitForSnapshots(2)) << "submitted later, but due 100 ms after it, not 1 s";
  EXPECT_EQ(slow.snapshots().size(), 2U);
  control_->prefill_gate.Open();
  engine_->Detach(1);
  engine_->Detach(2);
}

TEST_F(EngineTest, AfterDetachTheReceiverIsNeverCalled) {
  Start();
  control_->prefill_gate.Close();
  {
    fakes::RecordingReceiver receiver;
    ASSERT_TRUE(engine_->Attach(Request(1), &receiver).ok());
    ASSERT_TRUE(SubmitAt(1, 0).ok());
    ASSERT_TRUE(AwaitPrefill(1));
    engine_->Detach(1);
  }  // the sanitizers see a call to the dead receiver
  control_->prefill_gate.Open();
  fakes::RecordingReceiver next;
  ASSERT_TRUE(engine_->Attach(Request(2), &next).ok());
  ASSERT_TRUE(SubmitAt(2, 0).ok());
  ASSERT_TRUE(next.WaitForSnapshots(1));
  engine_->Detach(2);
}

TEST_F(EngineTest, FencedOwnerMayGoBeforeItIsTold) {
  Start();
  for (uint64_t i = 1; i <= 50; ++i) {
    auto old_owner = std::make_unique<fakes::RecordingReceiver>();
    fakes::RecordingReceiver new_owner;
    context::AttachRequest first = Request(2 * i, 2 * i), second = Request(2 * i + 1, 2 * i + 1);
    first.session_name = second.session_name = "car";
    ASSERT_TRUE(engine_->Attach(first, old_owner.get()).ok());
    ASSERT_TRUE(engine_->Attach(second, &new_owner).ok());
    engine_->Detach(2 * i);
    old_owner.reset();  // the sanitizers see a late call
    engine_->Detach(2 * i + 1);
  }
}

TEST_F(EngineTest, ARateNearZeroIsNoRightOfWay) {
  Start();
  fakes::RecordingReceiver car, sloth;
  context::AttachRequest request = Request(1);
  request.lossless = true;
  ASSERT_TRUE(engine_->Attach(request, &car).ok());
  request = Request(2);
  request.lossless = true;
  request.reasoning_rate_hz = 1e-300;
  ASSERT_TRUE(engine_->Attach(request, &sloth).ok());
  control_->prefill_gate.Close();
  ASSERT_TRUE(SubmitAt(1, 0).ok());
  ASSERT_TRUE(AwaitPrefill(1));
  ASSERT_TRUE(SubmitAt(2, 0).ok());
  ASSERT_TRUE(SubmitAt(1, 50'000).ok());
  control_->prefill_gate.Admit(2);
  ASSERT_TRUE(AwaitPrefill(3));
  EXPECT_EQ(car.snapshots().size(), 2U) << "it is due within its period, the other one never";
  EXPECT_EQ(sloth.snapshots().size(), 0U);
  control_->prefill_gate.Open();
  ASSERT_TRUE(sloth.WaitForSnapshots(1));
  engine_->Detach(1);
  engine_->Detach(2);
}

// A question that records its answer.
struct Answer {
  std::string text;
  absl::StatusOr<bool> end = absl::UnknownError("not ended");
  std::promise<void> promise;
  std::future<void> done = promise.get_future();
};

std::unique_ptr<SceneQuestion> QuestionTo(const std::string& session, Answer* answer) {
  auto question = std::make_unique<SceneQuestion>();
  question->session = session;
  question->question = "What is ahead?";
  question->on_text = [answer](std::string_view piece) {
    answer->text += piece;
    return true;
  };
  question->on_done = [answer](absl::StatusOr<bool> end) {
    answer->end = std::move(end);
    answer->promise.set_value();
  };
  return question;
}

TEST_F(EngineTest, QuestionsYieldToRefreshesBetweenTokens) {
  Start();
  fakes::RecordingReceiver receiver;
  ASSERT_TRUE(engine_->Attach(Request(1), &receiver).ok());
  ASSERT_TRUE(SubmitAt(1, 0).ok());
  ASSERT_TRUE(receiver.WaitForSnapshots(1));
  control_->token_gate.Close();
  Answer answer;
  const auto asked = engine_->Ask(QuestionTo("car1", &answer));
  ASSERT_TRUE(asked.ok());
  EXPECT_EQ(*asked, 0);
  ASSERT_TRUE(control_->token_gate.WaitForArrivals(1));
  ASSERT_TRUE(SubmitAt(1, 500'000).ok());
  control_->token_gate.Admit();
  ASSERT_TRUE(receiver.WaitForSnapshots(2)) << "the refresh goes before the rest of the answer";
  EXPECT_EQ(answer.done.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  control_->token_gate.Open();
  ASSERT_TRUE(answer.done.wait_for(std::chrono::seconds(30)) == std::future_status::ready);
  EXPECT_EQ(answer.text, "token0 token1 token2 ");
  ASSERT_TRUE(answer.end.ok());
  EXPECT_TRUE(*answer.end);
  engine_->Detach(1);
}

TEST_F(EngineTest, QuestionsAreBoundedAndChecked) {
  ReasoningOptions options;
  options.waiting_questions = 1;
  Start(options);
  fakes::RecordingReceiver receiver;
  Answer a, b, c;
  EXPECT_TRUE(absl::IsNotFound(engine_->Ask(QuestionTo("car1", &a)).status()));
  ASSERT_TRUE(engine_->Attach(Request(1), &receiver).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(engine_->Ask(QuestionTo("car1", &a)).status()));
  ASSERT_TRUE(SubmitAt(1, 0).ok());
  ASSERT_TRUE(receiver.WaitForSnapshots(1));
  auto long_question = QuestionTo("car1", &a);
  long_question->question.assign(4097, 'x');
  EXPECT_EQ(engine_->Ask(std::move(long_question)).status(),
            absl::InvalidArgumentError("question has 4097 bytes; it must have 1 to 4096"));
  control_->token_gate.Close();
  ASSERT_TRUE(engine_->Ask(QuestionTo("car1", &a)).ok());
  ASSERT_TRUE(control_->token_gate.WaitForArrivals(1));
  ASSERT_TRUE(engine_->Ask(QuestionTo("car1", &b)).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(engine_->Ask(QuestionTo("car1", &c)).status()));
  control_->token_gate.Open();
  ASSERT_TRUE(b.done.wait_for(std::chrono::seconds(30)) == std::future_status::ready);
  engine_->Detach(1);
}

TEST_F(EngineTest, QuestionsThatNobodyWaitsForMakeRoomAndCostTheExpertNothing) {
  ReasoningOptions options;
  options.waiting_questions = 1;
  Start(options);
  fakes::RecordingReceiver receiver;
  ASSERT_TRUE(engine_->Attach(Request(1), &receiver).ok());
  ASSERT_TRUE(SubmitAt(1, 0).ok());
  ASSERT_TRUE(receiver.WaitForSnapshots(1));
  const auto abandonable = [](Answer* answer, std::atomic<bool>* wanted) {
    auto question = QuestionTo("car1", answer);
    question->wanted = [wanted] { return wanted->load(); };
    return question;
  };
  Answer first, waits, takes_its_place;
  std::atomic<bool> first_wanted{true}, waits_wanted{true}, last_wanted{true};
  control_->token_gate.Close();
  ASSERT_TRUE(engine_->Ask(abandonable(&first, &first_wanted)).ok());
  ASSERT_TRUE(control_->token_gate.WaitForArrivals(1));
  ASSERT_TRUE(engine_->Ask(abandonable(&waits, &waits_wanted)).ok());
  waits_wanted = false;
  ASSERT_TRUE(engine_->Ask(abandonable(&takes_its_place, &last_wanted)).ok());
  ASSERT_EQ(waits.done.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  EXPECT_TRUE(absl::IsCancelled(waits.end.status()));
  last_wanted = false;  // while it waits
  control_->token_gate.Open();
  ASSERT_EQ(takes_its_place.done.wait_for(std::chrono::seconds(30)), std::future_status::ready);
  EXPECT_TRUE(absl::IsCancelled(takes_its_place.end.status()));
  EXPECT_EQ(takes_its_place.text, "");
  EXPECT_EQ(control_->token_gate.arrivals(), 3) << "the tokens of the first one";
  engine_->Detach(1);
}

TEST_F(EngineTest, DrainRefusesNewSessionsServesOldOnesAndEndsThem) {
  Start();
  fakes::RecordingReceiver receiver, late;
  ASSERT_TRUE(engine_->Attach(Request(1), &receiver).ok());
  engine_->BeginDrain();
  ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kDraining));
  EXPECT_TRUE(absl::IsUnavailable(engine_->Attach(Request(2), &late)));
  ASSERT_TRUE(SubmitAt(1, 0).ok());
  ASSERT_TRUE(receiver.WaitForSnapshots(1));
  engine_->Stop();
  ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kDown));
  EXPECT_TRUE(absl::IsUnavailable(receiver.link_states().back().second));
  engine_->Detach(1);
}

TEST_F(EngineTest, ExpertThatFailsToLoadIsSaidAndNobodyIsServed) {
  engine_ = std::make_unique<ReasoningEngine>(
      ReasoningOptions{},
      [] {
        return absl::StatusOr<std::unique_ptr<UnderstandingExpert>>(
            absl::NotFoundError("model.safetensors"));
      },
      &clock_);
  EXPECT_TRUE(absl::IsNotFound(engine_->WaitUntilReady(absl::Seconds(30))));
  fakes::RecordingReceiver receiver;
  EXPECT_TRUE(absl::IsUnavailable(engine_->Attach(Request(1), &receiver)));
  EXPECT_FALSE(engine_->status().ready);
}

}  // namespace
}  // namespace automot::reasoning
