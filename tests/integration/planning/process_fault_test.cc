// The reasoning process is stopped, killed and started again while a vehicle is planned for in real
// time: no plan fails, none waits, and every answer says how old its context is.
#include <gtest/gtest.h>

#include "tests/integration/planning/process_fixture.h"

namespace automot {
namespace {

constexpr int64_t kTickUs = 50'000;

class ProcessFaultTest : public ::testing::Test {
 protected:
  void StartReasoning(const std::string& address) {
    reasoning_ = std::make_unique<support::RunningProgram>(
        "automot-reasoning", ProgramArguments({"--address", address, "--drain-seconds", "0"}));
    reasoning_address_ = reasoning_->ReadAddress("reasoning");
    ASSERT_NE(reasoning_address_, "") << reasoning_->Errors();
  }
  void StartPlanning() {
    planning_ = std::make_unique<support::RunningProgram>(
        "automot-planning",
        ProgramArguments({"--address", "127.0.0.1:0", "--reasoning-address", reasoning_address_}));
    const std::string address = planning_->ReadAddress("planning");
    ASSERT_NE(address, "") << planning_->Errors();
    car_ = std::make_unique<DrivenCar>(address, v1::TIME_MODE_REALTIME);
  }
  // Ticks up to `until_us` of session time on the context captured at 0: its age is told as it is,
  // and the reasons are those that its age asks for.
  void ExpectAgeing(int64_t until_us) {
    while (car_->time_us() + kTickUs <= until_us) {
      const int64_t age = car_->time_us() + kTickUs;
      const v1::PlanResponse answer = car_->PlanAt(age);
      EXPECT_EQ(answer.provenance().snapshot().version(), 1U);
      EXPECT_EQ(answer.provenance().ages().context_us(), age);
      EXPECT_EQ(Has(answer, v1::REASON_STALE), age > 500'000) << age;
      EXPECT_EQ(Has(answer, v1::REASON_EXPIRED), age > 1'000'000) << age;
      EXPECT_EQ(Has(answer, v1::REASON_FALLBACK), age > 1'000'000) << age;
      EXPECT_EQ(answer.trajectory().route_size(), 20);
      EXPECT_TRUE(answer.has_control());
    }
  }

  // One refresh after the other until the model's own trajectory is back: two fresh contexts are
  // enough.
  v1::PlanResponse PlanUntilNormal() {
    v1::PlanResponse answer = car_->PlanAt(car_->time_us() + kTickUs);
    for (int refresh = 0; refresh < 3 && Has(answer, v1::REASON_FALLBACK); ++refresh) {
      const uint64_t published = car_->session().GetStatus()->snapshots_published();
      car_->PlanAt(car_->time_us() + 600'000);
      EXPECT_TRUE(car_->WaitForSnapshots(published + 1));
      answer = car_->PlanAt(car_->time_us() + kTickUs);
    }
    EXPECT_FALSE(Has(answer, v1::REASON_FALLBACK));
    return answer;
  }

  std::unique_ptr<support::RunningProgram> reasoning_, planning_;
  std::string reasoning_address_;
  std::unique_ptr<DrivenCar> car_;
};

TEST_F(ProcessFaultTest, NoPlanFailsOrWaitsWhileReasoningIsStoppedKilledAndRestarted) {
  ASSERT_NO_FATAL_FAILURE(StartReasoning("127.0.0.1:0"));
  ASSERT_NO_FATAL_FAILURE(StartPlanning());
  car_->PlanAt(0);
  ASSERT_TRUE(car_->WaitForSnapshots(1)) << reasoning_->Errors();
  const uint64_t first_epoch = car_->PlanAt(kTickUs).provenance().snapshot().epoch();

  reasoning_->Signal(SIGSTOP);
  ExpectAgeing(2'000'000);

  reasoning_->Signal(SIGKILL);
  EXPECT_EQ(reasoning_->Wait(), -SIGKILL);
  ExpectAgeing(3'000'000);
  ASSERT_TRUE(car_->WaitFor([](const auto& s) { return s.link_state() == v1::LINK_STATE_DOWN; }));
  ExpectAgeing(4'000'000);

  ASSERT_NO_FATAL_FAILURE(StartReasoning(reasoning_address_));
  for (int i = 0; i < 10; ++i) car_->PlanAt(car_->time_us() + kTickUs);  // while it loads
  ASSERT_TRUE(car_->WaitForSnapshots(2)) << reasoning_->Errors();
  const v1::PlanResponse recovered = PlanUntilNormal();
  EXPECT_GT(recovered.provenance().snapshot().epoch(), first_epoch);
  EXPECT_FALSE(Has(recovered, v1::REASON_EXPIRED));
  EXPECT_EQ(car_->session().GetStatus()->plans_answered(), car_->ticks()) << "zero failed plans";

  for (support::RunningProgram* program : {planning_.get(), reasoning_.get()}) {
    program->Signal(SIGTERM);
    EXPECT_EQ(program->Wait(), 0) << program->Errors();
  }
}

}  // namespace
}  // namespace automot
