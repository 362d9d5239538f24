// Deadlines, cancellation, order, capacity and parking of the planning loop, on a scripted tick.
#include "services/planning/planning_loop.h"

#include <array>
#include <mutex>
#include <vector>

#include "services/planning/session.h"
#include "tests/unit/services/planning/engine_fixture.h"

namespace automot::planning {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Records what ran; parks where it is told to; takes as long as it is told to, by the clock.
class ScriptedTick final : public PlanTick {
 public:
  explicit ScriptedTick(ManualClock* clock) : clock_(clock) {}

  Outcome Run(PlanWork& work, bool may_park) override {
    looked_.fetch_add(1);
    if (parking_ && may_park) return Outcome::kPark;
    gate_.Pass();
    clock_->Advance(absl::Milliseconds(tick_ms_.load()));
    const std::lock_guard lock(mutex_);
    ran_.push_back(work.sequence);
    return Outcome::kAnswered;
  }

  void RunBatch(absl::Span<PlanWork* const> works, absl::Span<const bool> may_park,
                absl::Span<Outcome> outcomes) override {
    {
      const std::lock_guard lock(mutex_);
      batches_.push_back(works.size());
    }
    PlanTick::RunBatch(works, may_park, outcomes);
  }

  std::vector<uint64_t> ran() const {
    const std::lock_guard lock(mutex_);
    return ran_;
  }
  std::vector<std::size_t> batches() const {
    const std::lock_guard lock(mutex_);
    return batches_;
  }
  int looked() const { return looked_; }
  void set_parking(bool parking) { parking_ = parking; }
  void set_tick_ms(int tick_ms) { tick_ms_ = tick_ms; }
  fakes::Gate& gate() { return gate_; }

 private:
  ManualClock* const clock_;
  fakes::Gate gate_;
  std::atomic<bool> parking_{false};
  std::atomic<int> tick_ms_{0};
  std::atomic<int> looked_{0};
  mutable std::mutex mutex_;
  std::vector<uint64_t> ran_;
  std::vector<std::size_t> batches_;
};

class PlanningLoopTest : public ::testing::Test {
 protected:
  void SetUp() override { Start({}); }
  void Start(const PlanningLoop::Options& options) {
    loop_ = std::make_unique<PlanningLoop>(options, &tick_, &clock_);
  }
  void TearDown() override {
    tick_.gate().Open();
    loop_.reset();
  }

  static std::shared_ptr<Session> NewSession(const std::string& name, TimeMode mode,
                                             const std::string& client = "") {
    return std::make_shared<Session>(name, "", 1, context::SessionHandle{}, OptionsOf(mode),
                                     lidar::HistogramBuilder::Create().value(), client);
  }
  // The loop learns how long a tick takes.
  void Learn(int tick_ms) {
    tick_.set_tick_ms(tick_ms);
    for (uint64_t i = 1; i <= 60; ++i) FailureOf(Submit(Work(i)));
    EXPECT_NEAR(loop_->load().plan_cost_s, 1e-3 * tick_ms, 1e-5 * tick_ms);
    EXPECT_TRUE(Eventually([&] { return loop_->load().pending == 0; }));
  }
  std::unique_ptr<PlanWork> Work(uint64_t sequence,
                                 absl::Duration deadline = absl::InfiniteDuration()) {
    auto work = std::make_unique<PlanWork>();
    work->session = session_;
    work->sequence = sequence;
    work->deadline = deadline;
    return work;
  }
  struct Outcome {
    PlanFailure failure;
    double parked_s, queue_s;
  };
  std::future<Outcome> Submit(std::unique_ptr<PlanWork> work) {
    auto promise = std::make_shared<std::promise<Outcome>>();
    work->done = [promise](PlanWork& done) {
      promise->set_value({done.result.failure, done.result.parked_s, done.result.queue_s});
    };
    absl::Duration retry_after;
    const absl::Status submitted = loop_->Submit(work, &retry_after);
    EXPECT_TRUE(submitted.ok()) << submitted;
    auto future = promise->get_future();
    if (!submitted.ok()) promise->set_value({PlanFailure::kDeadline, 0.0, 0.0});
    return future;
  }
  absl::Status Refusal(std::unique_ptr<PlanWork> work, absl::Duration* retry_after) {
    work->done = [](PlanWork&) { ADD_FAILURE() << "a refused plan is not answered"; };
    const absl::Status refused = loop_->Submit(work, retry_after);
    EXPECT_NE(work, nullptr) << "a refused plan stays its owner's";
    return refused;
  }
  static PlanFailure FailureOf(std::future<Outcome> pending) {
    if (pending.wait_for(kPatience) != std::future_status::ready) {
      ADD_FAILURE() << "no answer";
      return PlanFailure::kNone;
    }
    return pending.get().failure;
  }
  // Occupies the planning thread until the gate opens.
  std::future<Outcome> Occupy() {
    const int before = tick_.gate().arrivals();
    tick_.gate().Close();
    auto pending = Submit(Work(1000));
    EXPECT_TRUE(tick_.gate().WaitForArrivals(before + 1));
    return pending;
  }

  ManualClock clock_;
  ScriptedTick tick_{&clock_};
  std::shared_ptr<Session> session_ = NewSession("car", TimeMode::kStepped);
  std::unique_ptr<PlanningLoop> loop_;
};

TEST_F(PlanningLoopTest, RunsTheEarliestDeadlineFirstAndEqualOnesInOrder) {
  auto first = Occupy();
  std::vector<std::future<Outcome>> pending;
  pending.push_back(Submit(Work(1)));
  pending.push_back(Submit(Work(2, absl::Seconds(30))));
  pending.push_back(Submit(Work(3, absl::Seconds(10))));
  pending.push_back(Submit(Work(4, absl::Seconds(20))));
  pending.push_back(Submit(Work(5, absl::Seconds(10))));
  pending.push_back(Submit(Work(6)));
  tick_.gate().Open();
  for (auto& one : pending) EXPECT_EQ(FailureOf(std::move(one)), PlanFailure::kNone);
  EXPECT_THAT(tick_.ran(), ElementsAre(1000, 3, 5, 4, 2, 1, 6));
}

TEST_F(PlanningLoopTest, ExpiredWorkNeverRuns) {
  auto first = Occupy();
  auto expired = Submit(Work(1, absl::Milliseconds(50)));
  auto in_time = Submit(Work(2, absl::Milliseconds(51)));
  clock_.Advance(absl::Milliseconds(50));
  tick_.gate().Open();
  EXPECT_EQ(FailureOf(std::move(expired)), PlanFailure::kDeadline);
  EXPECT_EQ(FailureOf(std::move(in_time)), PlanFailure::kNone);
  EXPECT_THAT(tick_.ran(), ElementsAre(1000, 2));
}

TEST_F(PlanningLoopTest, CancelledWorkNeverRuns) {
  auto first = Occupy();
  auto work = Work(1);
  auto cancelled = std::make_shared<std::atomic<bool>>(false);
  work->cancelled = cancelled;
  auto pending = Submit(std::move(work));
  cancelled->store(true);
  loop_->Poke();
  tick_.gate().Open();
  EXPECT_EQ(FailureOf(std::move(pending)), PlanFailure::kCancelled);
  EXPECT_THAT(tick_.ran(), ElementsAre(1000));
}

TEST_F(PlanningLoopTest, ParkedWorkEndsByCancellationAndByItsDeadline) {
  tick_.set_parking(true);
  auto work = Work(1);
  auto cancelled = std::make_shared<std::atomic<bool>>(false);
  work->cancelled = cancelled;
  auto first = Submit(std::move(work));
  auto second = Submit(Work(2, absl::Seconds(1)));
  ASSERT_TRUE(Eventually([&] { return loop_->load().parked == 2; }));
  cancelled->store(true);
  loop_->Poke();
  EXPECT_EQ(FailureOf(std::move(first)), PlanFailure::kCancelled);
  clock_.Advance(absl::Seconds(1));
  loop_->Poke();
  EXPECT_EQ(FailureOf(std::move(second)), PlanFailure::kDeadline);
  EXPECT_TRUE(tick_.ran().empty());
  EXPECT_EQ(loop_->load().parked, 0U);
}

TEST_F(PlanningLoopTest, AParkedPlanIsNotRunAheadOfAnEarlierDeadline) {
  tick_.set_parking(true);
  auto parked = Submit(Work(1, absl::Seconds(60)));
  ASSERT_TRUE(Eventually([&] { return loop_->load().parked == 1; }));
  tick_.set_parking(false);
  auto first = Occupy();  // takes the parked one's place on the thread or runs after it
  auto urgent = Submit(Work(2, absl::Seconds(30)));
  loop_->Poke();
  tick_.gate().Open();
  EXPECT_EQ(FailureOf(std::move(parked)), PlanFailure::kNone);
  EXPECT_EQ(FailureOf(std::move(urgent)), PlanFailure::kNone);
  EXPECT_THAT(tick_.ran(), ElementsAre(1000, 2, 1));
}

TEST_F(PlanningLoopTest, LooksAtParkedPlansWhenPokedAndNotOtherwise) {
  tick_.set_parking(true);
  auto parked = Submit(Work(1));
  ASSERT_TRUE(Eventually([&] { return loop_->load().parked == 1; }));
  EXPECT_EQ(tick_.looked(), 1);
  loop_->Poke();
  ASSERT_TRUE(Eventually([&] { return tick_.looked() == 2; }));
  tick_.set_parking(false);
  loop_->Poke();
  EXPECT_EQ(FailureOf(std::move(parked)), PlanFailure::kNone);
}

TEST_F(PlanningLoopTest, AFullQueueRefusesNewWorkAndKeepsTheAccepted) {
  Start({.queue_capacity = 4});
  auto first = Occupy();
  std::vector<std::future<Outcome>> accepted;
  for (uint64_t i = 1; i <= 3; ++i) accepted.push_back(Submit(Work(i)));
  absl::Duration retry_after;
  const absl::Status refused = Refusal(Work(4), &retry_after);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("4 plans"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("limit is 4"));
  EXPECT_GT(retry_after, absl::ZeroDuration());
  tick_.gate().Open();
  for (auto& one : accepted) EXPECT_EQ(FailureOf(std::move(one)), PlanFailure::kNone);
  ASSERT_TRUE(Eventually([&] { return loop_->load().pending == 0; }));
  EXPECT_EQ(FailureOf(Submit(Work(4))), PlanFailure::kNone);
}

TEST_F(PlanningLoopTest, WorkThatCannotMakeItsDeadlineIsRefusedAtOnce) {
  Learn(100);
  auto first = Occupy();
  auto second = Submit(Work(61, clock_.Now() + absl::Milliseconds(240)));
  absl::Duration retry_after;
  const absl::Status refused =
      Refusal(Work(62, clock_.Now() + absl::Milliseconds(250)), &retry_after);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted) << "3 ticks of 100 ms";
  EXPECT_THAT(std::string(refused.message()), HasSubstr("2 plans are in front"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("need about 300 ms"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("the deadline leaves 250 ms"));
  EXPECT_NEAR(absl::ToDoubleSeconds(retry_after), 0.1, 0.01);
  auto in_time = Submit(Work(63, clock_.Now() + absl::Milliseconds(350)));
  tick_.gate().Open();
  EXPECT_EQ(FailureOf(std::move(second)), PlanFailure::kNone);
  EXPECT_EQ(FailureOf(std::move(in_time)), PlanFailure::kNone);
}

TEST_F(PlanningLoopTest, WorkThatWouldBreakWhatWasAcceptedIsRefusedThoughItWouldBeInTime) {
  Learn(100);
  auto first = Occupy();
  auto accepted = Submit(Work(61, clock_.Now() + absl::Milliseconds(250)));
  absl::Duration retry_after;
  const absl::Status refused =
      Refusal(Work(62, clock_.Now() + absl::Milliseconds(220)), &retry_after);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("accepted before would end 50 ms after"));
  auto patient = Submit(Work(63));  // runs after all others
  auto ordered = Work(64, clock_.Now() + absl::Seconds(60));
  ordered->order_by = clock_.Now() + absl::Milliseconds(500);
  auto held = Submit(std::move(ordered));
  tick_.gate().Open();
  EXPECT_EQ(FailureOf(std::move(accepted)), PlanFailure::kNone);
  EXPECT_EQ(FailureOf(std::move(held)), PlanFailure::kNone);
  EXPECT_EQ(FailureOf(std::move(patient)), PlanFailure::kNone);
  EXPECT_THAT(tick_.ran(), Contains(61).Times(1));
}

// One client asks without end, another now and then.
TEST_F(PlanningLoopTest, AFloodOfOneClientLeavesRoomForAnother) {
  Learn(10);
  const std::array flood = {NewSession("flood", TimeMode::kStepped, "a"),
                            NewSession("another", TimeMode::kStepped, "a")};
  const auto honest = NewSession("honest", TimeMode::kStepped, "b");
  const auto of = [&](const std::shared_ptr<Session>& session, uint64_t sequence) {
    auto work = Work(sequence, clock_.Now() + absl::Milliseconds(205));
    work->session = session;
    return work;
  };
  FailureOf(Submit(of(honest, 1)));
  auto first = Occupy();
  std::vector<std::future<Outcome>> accepted;
  absl::Status refused;
  absl::Duration retry_after;
  for (uint64_t i = 1; i <= 30 && refused.ok(); ++i) {
    auto work = of(flood.at(i % 2), i);  // its vehicles count together
    auto promise = std::make_shared<std::promise<Outcome>>();
    work->done = [promise](PlanWork& done) { promise->set_value({done.result.failure, 0, 0}); };
    refused = loop_->Submit(work, &retry_after);
    if (refused.ok()) accepted.push_back(promise->get_future());
  }
  // 20 fit before the deadline; three accounts have asked, the one that occupies included.
  EXPECT_THAT(std::string(refused.message()), HasSubstr("client 'a' has "));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("its share of a queue of 20 is "));
  EXPECT_GE(accepted.size(), 6U);
  EXPECT_LE(accepted.size(), 10U);
  accepted.push_back(Submit(of(honest, 2)));
  tick_.gate().Open();
  for (auto& one : accepted) EXPECT_EQ(FailureOf(std::move(one)), PlanFailure::kNone);
}

TEST_F(PlanningLoopTest, BatchesAreFormedOfWhatWaitsOneOfEachSession) {
  Start({.max_batch = 4});
  for (int batch = 1; batch <= 4; ++batch) {
    loop_->ExpectCost(batch, absl::Milliseconds(10 + batch));
  }
  const auto other = NewSession("other", TimeMode::kStepped);
  const auto third = NewSession("third", TimeMode::kStepped);
  auto first = Occupy();
  std::vector<std::future<Outcome>> pending;
  pending.push_back(Submit(Work(1, absl::Seconds(10))));
  for (const auto& [session, seconds] :
       {std::pair(other, 11), std::pair(third, 12), std::pair(session_, 13)}) {
    auto work = Work(static_cast<uint64_t>(seconds), absl::Seconds(seconds));
    work->session = session;
    pending.push_back(Submit(std::move(work)));
  }
  tick_.gate().Open();
  for (auto& one : pending) EXPECT_EQ(FailureOf(std::move(one)), PlanFailure::kNone);
  EXPECT_THAT(tick_.batches(), ElementsAre(1, 3, 1)) << "two plans of one session are not one run";
}

TEST_F(PlanningLoopTest, NoBatchIsFormedThatWouldCostADeadline) {
  Start({.max_batch = 4});
  for (int batch = 1; batch <= 4; ++batch) {
    loop_->ExpectCost(batch, absl::Milliseconds(100 + 20 * batch));
  }
  const auto other = NewSession("other", TimeMode::kStepped);
  auto first = Occupy();
  // 130 ms are left when the occupant, which takes no time here, is done.
  auto tight = Submit(Work(1, clock_.Now() + absl::Milliseconds(255)));
  clock_.Advance(absl::Milliseconds(125));
  auto work = Work(2, clock_.Now() + absl::Seconds(10));
  work->session = other;
  auto loose = Submit(std::move(work));
  tick_.gate().Open();
  EXPECT_EQ(FailureOf(std::move(tight)), PlanFailure::kNone);
  EXPECT_EQ(FailureOf(std::move(loose)), PlanFailure::kNone);
  EXPECT_THAT(tick_.batches(), ElementsAre(1, 1, 1));
}

// Were one slow spell enough to refuse every later plan, none would ever run to show better.
TEST_F(PlanningLoopTest, ASlowSpellIsForgotten) {
  tick_.set_tick_ms(60'000);  // the process was stopped and continued
  FailureOf(Submit(Work(1)));
  tick_.set_tick_ms(1);
  for (uint64_t i = 2; i <= 100; ++i) {
    ASSERT_TRUE(Eventually([&] { return loop_->load().pending == 0; }));
    EXPECT_EQ(FailureOf(Submit(Work(i, clock_.Now() + absl::Milliseconds(50)))),
              PlanFailure::kNone);
  }
  EXPECT_LT(loop_->load().plan_cost_s, 0.05);
}

TEST_F(PlanningLoopTest, WorkThatComesAfterItsDeadlineIsNotAccepted) {
  clock_.Advance(absl::Seconds(1));
  absl::Duration retry_after;
  const absl::Status refused = Refusal(Work(1, absl::Seconds(1)), &retry_after);
  EXPECT_EQ(refused.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(retry_after, absl::ZeroDuration());
  EXPECT_EQ(loop_->load().pending, 0U);
}

TEST_F(PlanningLoopTest, DrainingReleasesWhatIsParkedAndRefusesWhatComes) {
  tick_.set_parking(true);
  auto parked = Submit(Work(1));
  ASSERT_TRUE(Eventually([&] { return loop_->load().parked == 1; }));
  loop_->Drain();
  EXPECT_EQ(FailureOf(std::move(parked)), PlanFailure::kNone);
  absl::Duration retry_after;
  EXPECT_EQ(Refusal(Work(2), &retry_after).code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(loop_->AwaitIdle(absl::Seconds(30)));
}

TEST_F(PlanningLoopTest, CountsTimeInTheQueueAndParkedApart) {
  auto first = Occupy();
  auto second = Submit(Work(1));
  clock_.Advance(absl::Seconds(2));
  tick_.set_parking(true);
  tick_.gate().Open();
  ASSERT_TRUE(Eventually([&] { return loop_->load().parked == 1; }));
  clock_.Advance(absl::Seconds(3));
  tick_.set_parking(false);
  loop_->Poke();
  const Outcome outcome = second.get();
  EXPECT_EQ(outcome.queue_s, 2.0);
  EXPECT_EQ(outcome.parked_s, 3.0);
}

}  // namespace
}  // namespace automot::planning
