// Both services end to end over the gRPC lane, driven with the client library: observations go in
// at the planning service, contexts come back from the reasoning service, and a vehicle is planned
// for whatever becomes of the latter. Session time is the test's: nothing here waits for it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/planner_client.h"
#include "tests/integration/planning/planning_fixture.h"
#include "tests/support/health_check.h"

namespace automot {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kTickUs = 50'000;

class TwoServicesTest : public PlanningTest {
 protected:
  void Connect() {
    client::PlannerClient::Options options;
    options.address = planning_->server().address();
    options.plan_timeout = absl::Seconds(60);
    auto client = client::PlannerClient::Connect(options);
    ASSERT_TRUE(client.ok()) << client.status();
    client_ = *std::move(client);
    auto session = client_->OpenSession("car", OptionsOf(v1::TIME_MODE_REALTIME));
    ASSERT_TRUE(session.ok()) << session.status();
    car_ = *std::move(session);
  }
  void TearDown() override {
    car_.reset();
    client_.reset();
    PlanningTest::TearDown();
  }

  // One tick at `time_us`; a failure fails the test.
  v1::PlanResponse PlanAt(int64_t time_us) {
    time_us_ = time_us;
    auto answer = car_->Plan(SeenAt(time_us));
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? *std::move(answer) : v1::PlanResponse();
  }
  v1::PlanResponse Tick() { return PlanAt(time_us_ + kTickUs); }
  // Asks until it is so.
  bool WaitFor(const std::function<bool(const v1::GetSessionStatusResponse&)>& so) {
    const absl::Time end = absl::Now() + absl::Minutes(1);
    while (absl::Now() < end) {
      const auto status = car_->GetStatus();
      if (status.ok() && so(*status)) return true;
    }
    return false;
  }
  bool WaitForSnapshots(uint64_t count) {
    return WaitFor([count](const auto& status) { return status.snapshots_published() >= count; });
  }
  bool WaitForLink(v1::LinkState state) {
    return WaitFor([state](const auto& status) { return status.link_state() == state; });
  }
  // Ticks up to `until_us` on the context of `capture_us`: its age is reported as it is, and every
  // answer carries what its age asks for.
  void ExpectAgeing(int64_t capture_us, int64_t until_us) {
    while (time_us_ + kTickUs <= until_us) {
      const v1::PlanResponse answer = Tick();
      const int64_t age = time_us_ - capture_us;
      EXPECT_EQ(answer.provenance().ages().context_us(), age);
      EXPECT_EQ(Has(answer, v1::REASON_STALE), age > 500'000) << age;
      EXPECT_EQ(Has(answer, v1::REASON_EXPIRED), age > 1'000'000) << age;
      EXPECT_EQ(Has(answer, v1::REASON_FALLBACK), age > 1'000'000) << age;
    }
  }
  // Takes the reasoning service away while its expert is at work.
  void KillReasoning() {
    control_->FailPrefill(absl::UnavailableError("killed"));
    control_->prefill_gate.Open();
    reasoning_.reset();
    control_->FailPrefill(absl::OkStatus());
  }

  std::unique_ptr<client::PlannerClient> client_;
  std::unique_ptr<client::PlannerSession> car_;
  int64_t time_us_ = 0;
};

TEST_F(TwoServicesTest, ObservationsGoInAndContextsComeBack) {
  StartOverGrpc();
  Connect();
  EXPECT_EQ(client_->GetStatus()->lane(), v1::SNAPSHOT_LANE_GRPC);
  PlanAt(0);
  ASSERT_TRUE(WaitForSnapshots(1));
  for (uint64_t version = 1; version <= 4; ++version) {
    const int64_t due = static_cast<int64_t>(version) * 500'000;
    while (time_us_ + kTickUs < due) Tick();
    const v1::PlanResponse answer = PlanAt(due);
    EXPECT_EQ(answer.provenance().snapshot().version(), version);
    EXPECT_EQ(answer.trajectory().route(0).y(), static_cast<double>(version));
    EXPECT_EQ(answer.provenance().ages().context_us(), 500'000);
    EXPECT_EQ(answer.context_decision().slots_size(), kDecisionSlots);
    ASSERT_TRUE(WaitForSnapshots(version + 1));
  }
  // The history is long enough by now: nothing is unusual.
  EXPECT_THAT(Tick().provenance().reasons(), IsEmpty());
}

TEST_F(TwoServicesTest, SteppedSessionAlwaysHasTheContextThatIsDue) {
  StartOverGrpc();
  Connect();
  Car stepped(stub_.get(), "stepped", OptionsOf(v1::TIME_MODE_STEPPED));
  for (int64_t time = 0; time <= 3'000'000; time += kTickUs) {
    const v1::PlanResponse answer = stepped.PlanAt(time);
    EXPECT_EQ(answer.provenance().ages().context_us(), time % 500'000);
    EXPECT_FALSE(Has(answer, v1::REASON_FALLBACK));
  }
}

TEST_F(TwoServicesTest, NoPlanFailsWhileTheProducerStopsDiesAndComesBack) {
  StartOverGrpc();
  const std::string address = reasoning_->address();
  Connect();
  PlanAt(0);
  ASSERT_TRUE(WaitForSnapshots(1));
  const uint64_t first_epoch = Tick().provenance().snapshot().epoch();

  // Stopped: the expert is held, the service says nothing.
  control_->prefill_gate.Close();
  ExpectAgeing(0, 2'000'000);
  EXPECT_EQ(CheckHealth(channel_, ""), HealthStatus::kServing) << "ready without the peer";

  // Gone.
  KillReasoning();
  ASSERT_TRUE(WaitForLink(v1::LINK_STATE_DOWN));
  ExpectAgeing(0, 4'000'000);
  EXPECT_FALSE(car_->GetStatus()->link_message().empty());
  EXPECT_EQ(CheckHealth(channel_, ""), HealthStatus::kServing);

  // Back on the same port: a newer epoch that counts from 1, from the frames that were kept.
  StartReasoning(address);
  ASSERT_TRUE(WaitForLink(v1::LINK_STATE_UP));
  ASSERT_TRUE(WaitForSnapshots(2));
  v1::PlanResponse answer = Tick();
  EXPECT_GT(answer.provenance().snapshot().epoch(), first_epoch);
  EXPECT_EQ(answer.provenance().snapshot().version(), 1U);
  EXPECT_FALSE(Has(answer, v1::REASON_EXPIRED));
  EXPECT_TRUE(Has(answer, v1::REASON_FALLBACK)) << "one fresh context is not enough";
  EXPECT_TRUE(car_->GetStatus()->recovering());

  PlanAt(time_us_ + 500'000);
  ASSERT_TRUE(WaitForSnapshots(3));
  answer = Tick();
  EXPECT_EQ(answer.provenance().snapshot().version(), 2U);
  EXPECT_FALSE(Has(answer, v1::REASON_FALLBACK));
  EXPECT_FALSE(car_->GetStatus()->recovering());
}

TEST_F(TwoServicesTest, ServicesMayStartInAnyOrder) {
  StartReasoning("127.0.0.1:0");
  const std::string address = reasoning_->address();
  reasoning_.reset();
  planning::GrpcSnapshotChannelOptions lane;
  lane.addresses = {address};
  lane.pool.prefault = false;
  lane.timeouts.first_retry = absl::Milliseconds(5);
  lane.timeouts.last_retry = absl::Milliseconds(50);
  lane_ = *planning::GrpcSnapshotChannel::Create(lane);
  StartPlanning({}, lane_.get());
  Connect();
  EXPECT_THAT(PlanAt(0).provenance().reasons(),
              ElementsAre(v1::REASON_NO_CONTEXT, v1::REASON_FALLBACK));
  StartReasoning(address);
  ASSERT_TRUE(WaitForSnapshots(1)) << "from the frame that was kept";
  EXPECT_FALSE(Has(Tick(), v1::REASON_FALLBACK));
}

TEST_F(TwoServicesTest, ResetReachesTheProducer) {
  StartOverGrpc();
  Connect();
  PlanAt(0);
  ASSERT_TRUE(WaitForSnapshots(1));
  ASSERT_TRUE(car_->Reset().ok());
  PlanAt(0);
  ASSERT_TRUE(WaitForSnapshots(2));
  const v1::PlanResponse answer = Tick();
  EXPECT_EQ(answer.episode(), 2U);
  EXPECT_EQ(answer.provenance().snapshot().episode(), 2U);
  EXPECT_FALSE(Has(answer, v1::REASON_FALLBACK));
}

TEST_F(TwoServicesTest, PinnedContextIsPlannedOn) {
  StartOverGrpc();
  Connect();
  PlanAt(0);
  ASSERT_TRUE(WaitForSnapshots(1));
  const auto pinned = car_->PinContext(absl::Seconds(60));
  ASSERT_TRUE(pinned.ok()) << pinned.status();
  for (uint64_t count = 2; count <= 7; ++count) {
    PlanAt(time_us_ + 500'000);
    ASSERT_TRUE(WaitForSnapshots(count));
  }
  client::PlannerSession::PlanOptions options;
  *options.context.mutable_exactly() = pinned->snapshot();
  options.on_expired = v1::ON_EXPIRED_ANSWER;
  const auto answer = car_->Plan(SeenAt(time_us_ + kTickUs), options);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->provenance().snapshot().version(), 1U);
  EXPECT_EQ(answer->trajectory().route(0).y(), 1.0);
  EXPECT_TRUE(car_->ReleaseContext(pinned->context_lease()).ok());
}

}  // namespace
}  // namespace automot
