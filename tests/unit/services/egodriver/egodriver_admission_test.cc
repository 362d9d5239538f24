// Start, wait, end and drain of rollouts.
#include <thread>

#include "tests/unit/services/egodriver/rollout_fixture.h"

namespace automot::egodriver {
namespace {

class EgodriverAdmissionTest : public RolloutTest {
 protected:
  static bool Waits(const std::future<absl::Status>& pending) {
    return pending.wait_for(std::chrono::seconds(0)) == std::future_status::timeout;
  }
};

TEST_F(EgodriverAdmissionTest, BadRequestsAreRefusedAtOnce) {
  StartRequest nameless = RequestFor(""), spaced = RequestFor("a b");
  StartRequest endless = RequestFor(std::string(200, 'x')), blind = RequestFor("blind");
  blind.cameras.clear();
  StartRequest broken = RequestFor("broken");
  broken.cameras[0].lens.focal_length.x = -1.0;
  for (const StartRequest& request : {nameless, spaced, endless, blind, broken}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Outcome(Begin(request)))) << request.id;
  }
  EXPECT_EQ(engine_->session_count(), 0U);
}

TEST_F(EgodriverAdmissionTest, AnIdRunsOnceAndMayRunAgainAfterItsEnd) {
  Run("a");
  EXPECT_TRUE(absl::IsAlreadyExists(Outcome(Begin(RequestFor("a")))));
  egodriver_->Close("a");
  egodriver_->Close("a");
  egodriver_->Close("never there");
  EXPECT_TRUE(absl::IsNotFound(egodriver_->Find("a").status()));
  EXPECT_EQ(engine_->session_count(), 0U);
  Run("a");
}

TEST_F(EgodriverAdmissionTest, AStartIsHeldUntilARolloutEnds) {
  StartWith({}, {.rollout_limit = 1});
  Run("a");
  std::future<absl::Status> second = Begin(RequestFor("b"));
  std::future<absl::Status> third = Begin(RequestFor("c"));
  EXPECT_TRUE(Waits(second));
  egodriver_->Close("a");
  EXPECT_TRUE(Outcome(std::move(second)).ok());
  EXPECT_TRUE(Waits(third)) << "in order of arrival";
  egodriver_->Close("b");
  EXPECT_TRUE(Outcome(std::move(third)).ok());
}

TEST_F(EgodriverAdmissionTest, AFullPlanningEngineHoldsAStartToo) {
  planning::PlanningEngineOptions options;
  options.session_limit = 1;
  StartWith(options, {});
  Open("car", planning::OptionsOf(planning::TimeMode::kRealtime));
  std::future<absl::Status> held = Begin(RequestFor("a"));
  EXPECT_TRUE(Waits(held));
  ASSERT_TRUE(engine_->CloseSession("car", 1).ok());
  EXPECT_TRUE(Outcome(std::move(held)).ok());
}

TEST_F(EgodriverAdmissionTest, AHeldStartEndsAtItsLimitOnCancellationAndOnClose) {
  StartWith({}, {.rollout_limit = 1, .waiting_limit = 2});
  Run("a");
  std::future<absl::Status> late = Begin(RequestFor("late"));
  std::future<absl::Status> closed = Begin(RequestFor("closed"));
  EXPECT_TRUE(absl::IsResourceExhausted(Outcome(Begin(RequestFor("one-too-many")))));
  egodriver_->Close("closed");
  EXPECT_TRUE(absl::IsCancelled(Outcome(std::move(closed))));
  auto flag = std::make_shared<std::atomic<bool>>(false);
  std::future<absl::Status> cancelled = Begin(RequestFor("cancelled"), flag);
  flag->store(true);
  EXPECT_TRUE(absl::IsCancelled(Outcome(std::move(cancelled))));
  EXPECT_TRUE(Waits(late));
  clock_.Advance(absl::Seconds(121));
  EXPECT_TRUE(absl::IsResourceExhausted(Outcome(std::move(late))));
}

TEST_F(EgodriverAdmissionTest, RolloutsThatNobodyClosesEnd) {
  planning::PlanningEngineOptions options;
  options.session_lease = absl::Seconds(30);
  StartWith(options, {});
  Run("dead");
  const auto alive = Run("alive");
  alive->TakePoses({PoseAt(0, 0, 0, 0)});
  clock_.Advance(absl::Seconds(20));
  ASSERT_TRUE(egodriver_->Find("alive").ok());
  ASSERT_TRUE(Await(Drive(alive, 0)).status.ok());
  clock_.Advance(absl::Seconds(15));
  ASSERT_TRUE(Eventually([&] { return egodriver_->running() == 1; }));
  EXPECT_TRUE(egodriver_->Find("alive").ok());
  EXPECT_TRUE(Eventually([&] { return engine_->session_count() == 1; }));
}

TEST_F(EgodriverAdmissionTest, ADrainFinishesWhatRunsAndStartsNothing) {
  StartWith({}, {.rollout_limit = 1});
  const auto rollout = Run("a");
  std::future<absl::Status> held = Begin(RequestFor("held"));
  std::thread drain([&] { egodriver_->Drain(absl::Minutes(10)); });
  EXPECT_TRUE(absl::IsUnavailable(Outcome(std::move(held))));
  EXPECT_TRUE(absl::IsUnavailable(Outcome(Begin(RequestFor("new")))));
  Report(*rollout, 0);
  std::future<Driven> pending = Drive(rollout, 0);
  ASSERT_TRUE(AwaitParked(1));
  channel_.Publish(0);
  EXPECT_TRUE(Await(std::move(pending)).status.ok()) << "a running rollout goes on";
  egodriver_->Close("a");
  drain.join();
  EXPECT_EQ(egodriver_->running(), 0U);
}

TEST_F(EgodriverAdmissionTest, ADrainClosesWhatDoesNotEndInTime) {
  const auto rollout = Run("a");
  Report(*rollout, 0);
  std::future<Driven> pending = Drive(rollout, 0);
  ASSERT_TRUE(AwaitParked(1));
  egodriver_->Drain(absl::ZeroDuration());
  EXPECT_FALSE(Await(std::move(pending)).status.ok());
  EXPECT_EQ(engine_->session_count(), 0U);
  egodriver_->Drain(absl::ZeroDuration());  // again: harmless
}

}  // namespace
}  // namespace automot::egodriver
