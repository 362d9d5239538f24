// OpenSession, ResetSession, CloseSession, KeepAlive, PinContext, ReleaseContext and the two status
// calls.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/planning/planning_fixture.h"
#include "tests/support/health_check.h"

namespace automot {
namespace {

using ::testing::HasSubstr;
using Stub = v1::PlanningService::Stub;

class SessionRpcsTest : public PlanningTest {
 protected:
  grpc::Status OpenAs(const std::string& name, const std::string& token,
                      v1::OpenSessionResponse* response,
                      const v1::SessionOptions& options = OptionsOf(v1::TIME_MODE_REALTIME)) {
    v1::OpenSessionRequest request;
    request.set_session(name);
    request.set_resume_token(token);
    *request.mutable_options() = options;
    return Call(&Stub::OpenSession, request, response);
  }
  template <typename Request>
  static Request For(const std::string& session, uint64_t lease) {
    Request request;
    request.set_session(session);
    request.set_lease(lease);
    return request;
  }
  grpc::Status Pin(const Car& car, int64_t ttl_us, v1::PinContextResponse* response,
                   const v1::SnapshotId* id = nullptr) {
    auto request = For<v1::PinContextRequest>(car.name(), car.lease());
    request.set_ttl_us(ttl_us);
    if (id != nullptr) *request.mutable_snapshot() = *id;
    return Call(&Stub::PinContext, request, response);
  }
  // A plan on exactly `id`.
  grpc::Status PlanOn(Car& car, int64_t time_us, const v1::SnapshotId& id) {
    v1::PlanRequest request = car.RequestAt(time_us);
    *request.mutable_context()->mutable_exactly() = id;
    v1::PlanResponse response;
    return car.Send(request, &response);
  }
};

TEST_F(SessionRpcsTest, OpenSaysWhatServesTheSession) {
  StartInProcess();
  planning_->expert().mutable_info().weights_trained = true;
  v1::OpenSessionResponse opened;
  ASSERT_TRUE(OpenAs("car", "", &opened).ok());
  EXPECT_EQ(opened.resume_token().size(), 32U) << "16 random bytes";
  EXPECT_GT(opened.lease(), 0U);
  EXPECT_EQ(opened.episode(), 1U);
  EXPECT_EQ(opened.model_revision(), kFakeRevision);
  EXPECT_TRUE(opened.weights_trained());
  v1::OpenSessionResponse other;
  ASSERT_TRUE(OpenAs("other", "", &other).ok());
  EXPECT_NE(other.resume_token(), opened.resume_token());
}

TEST_F(SessionRpcsTest, NewerLeaseFencesTheOlder) {
  StartInProcess();
  Car car = Open("car");
  car.PlanAt(0);
  v1::OpenSessionResponse taken;
  grpc::Status status = OpenAs("car", "", &taken);
  EXPECT_EQ(status.error_code(), grpc::ALREADY_EXISTS) << status.error_message();
  status = OpenAs("car", "guess", &taken);
  EXPECT_EQ(status.error_code(), grpc::PERMISSION_DENIED);
  EXPECT_THAT(status.error_message(), HasSubstr("resume_token"));
  ASSERT_TRUE(OpenAs("car", car.opened().resume_token(), &taken).ok());
  EXPECT_GT(taken.lease(), car.lease());

  v1::PlanResponse answer;
  status = car.Send(car.RequestAt(100'000), &answer);
  EXPECT_EQ(status.error_code(), grpc::ABORTED);
  EXPECT_THAT(status.error_message(), HasSubstr("lease is 1"));
  v1::PlanRequest first;  // the sequence belongs to the lease
  first.set_session("car");
  first.set_lease(taken.lease());
  first.set_sequence(1);
  *first.mutable_observation() = SeenAt(100'000);
  EXPECT_TRUE(car.Send(first, &answer).ok());
}

TEST_F(SessionRpcsTest, SessionOfAnotherReplicaIsUnimplementedByName) {
  StartInProcess();
  v1::OpenSessionResponse opened;
  const grpc::Status status = OpenAs("elsewhere", "0123456789abcdef0123456789abcdef", &opened);
  EXPECT_EQ(status.error_code(), grpc::UNIMPLEMENTED);
  EXPECT_THAT(status.error_message(), HasSubstr("adopting a session of another replica"));
}

TEST_F(SessionRpcsTest, ResetHidesEverythingOfTheEarlierEpisode) {
  StartInProcess();
  Car car = OpenWithContext("car");
  EXPECT_FALSE(Has(car.PlanAt(500'000), v1::REASON_NO_CONTEXT));
  ASSERT_TRUE(car.WaitForSnapshots(2));
  control_->prefill_gate.Close();
  v1::ResetSessionResponse reset;
  ASSERT_TRUE(
      Call(&Stub::ResetSession, For<v1::ResetSessionRequest>("car", car.lease()), &reset).ok());
  EXPECT_EQ(reset.episode(), 2U);
  EXPECT_EQ(reset.resume_token(), car.opened().resume_token()) << "without a key one is enough";
  const v1::PlanResponse answer = car.PlanAt(0);  // time starts again
  EXPECT_EQ(answer.episode(), 2U);
  EXPECT_TRUE(Has(answer, v1::REASON_NO_CONTEXT));
  control_->prefill_gate.Open();
  ASSERT_TRUE(car.WaitForSnapshots(3));
  const v1::PlanResponse next = car.PlanAt(100'000);
  EXPECT_EQ(next.provenance().snapshot().episode(), 2U);
  EXPECT_EQ(next.provenance().ages().context_us(), 100'000);
}

TEST_F(SessionRpcsTest, ClosedSessionIsGoneAndItsNameFree) {
  StartInProcess();
  Car car = OpenWithContext("car");
  v1::CloseSessionResponse closed;
  const auto request = For<v1::CloseSessionRequest>("car", car.lease());
  ASSERT_TRUE(Call(&Stub::CloseSession, request, &closed).ok());
  EXPECT_TRUE(Call(&Stub::CloseSession, request, &closed).ok()) << "closing again is OK";
  v1::PlanResponse answer;
  const grpc::Status status = car.Send(car.RequestAt(100'000), &answer);
  EXPECT_EQ(status.error_code(), grpc::NOT_FOUND);
  EXPECT_THAT(status.error_message(), HasSubstr("'car'"));
  control_->prefill_gate.Close();
  Car again = Open("car");
  EXPECT_TRUE(Has(again.PlanAt(0), v1::REASON_NO_CONTEXT));
}

TEST_F(SessionRpcsTest, KeepAliveSaysHowLongTheLeaseHolds) {
  PlanningProcess::Options options;
  options.engine.session_lease = absl::Seconds(90);
  StartInProcess(options);
  Car car = Open("car");
  v1::KeepAliveResponse kept;
  ASSERT_TRUE(Call(&Stub::KeepAlive, For<v1::KeepAliveRequest>("car", car.lease()), &kept).ok());
  EXPECT_EQ(kept.remaining_ms(), 90'000);
  EXPECT_EQ(Call(&Stub::KeepAlive, For<v1::KeepAliveRequest>("car", 7), &kept).error_code(),
            grpc::ABORTED);
}

TEST_F(SessionRpcsTest, PinnedVersionOutlivesNewerOnesUntilItIsReleased) {
  PlanningProcess::Options options;
  options.engine.retained_versions = 2;
  StartInProcess(options);
  Car car = OpenWithContext("car");
  v1::PinContextResponse pinned;
  ASSERT_TRUE(Pin(car, 60'000'000, &pinned).ok());
  EXPECT_EQ(pinned.snapshot().version(), 1U);
  EXPECT_EQ(pinned.snapshot().session(), "car");
  int64_t time = 0;
  for (uint64_t count = 2; count <= 5; ++count) {
    car.PlanAt(time += 500'000);
    ASSERT_TRUE(car.WaitForSnapshots(count));
  }
  EXPECT_TRUE(PlanOn(car, time += 1000, pinned.snapshot()).ok());
  auto release = For<v1::ReleaseContextRequest>("car", car.lease());
  release.set_context_lease(pinned.context_lease());
  v1::ReleaseContextResponse released;
  ASSERT_TRUE(Call(&Stub::ReleaseContext, release, &released).ok());
  EXPECT_TRUE(Call(&Stub::ReleaseContext, release, &released).ok()) << "releasing again is OK";
  EXPECT_EQ(PlanOn(car, time += 1000, pinned.snapshot()).error_code(), grpc::NOT_FOUND);
}

TEST_F(SessionRpcsTest, PinEndsWhenItsSessionTimeIsOver) {
  PlanningProcess::Options options;
  options.engine.retained_versions = 2;
  StartInProcess(options);
  Car car = OpenWithContext("car");
  v1::PinContextResponse pinned;
  ASSERT_TRUE(Pin(car, 1'000'000, &pinned).ok());
  int64_t time = 0;
  for (uint64_t count = 2; count <= 5; ++count) {
    car.PlanAt(time += 500'000);
    ASSERT_TRUE(car.WaitForSnapshots(count));
  }
  EXPECT_EQ(PlanOn(car, time += 1000, pinned.snapshot()).error_code(), grpc::NOT_FOUND);
}

TEST_F(SessionRpcsTest, PinsAreBounded) {
  StartInProcess();
  Car car = OpenWithContext("car");
  v1::PinContextResponse pinned;
  grpc::Status status = Pin(car, 0, &pinned);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("ttl_us is 0"));
  EXPECT_EQ(Pin(car, 60'000'001, &pinned).error_code(), grpc::INVALID_ARGUMENT);
  v1::SnapshotId id;
  id.set_version(99);
  EXPECT_EQ(Pin(car, 1, &pinned, &id).error_code(), grpc::NOT_FOUND);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(Pin(car, 1'000'000, &pinned).ok());
  status = Pin(car, 1'000'000, &pinned);
  EXPECT_EQ(status.error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("the limit is 4"));
}

TEST_F(SessionRpcsTest, SnapshotOfAnotherSessionIsRefused) {
  StartInProcess();
  Car car = OpenWithContext("car");
  v1::SnapshotId id = car.Status().latest_snapshot();
  id.set_session("other");
  v1::PinContextResponse pinned;
  grpc::Status status = Pin(car, 1'000'000, &pinned, &id);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("snapshot.session is 'other'"));
  status = PlanOn(car, 100'000, id);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("context.exactly.session is 'other'"));
}

TEST_F(SessionRpcsTest, SessionStatusCountsWhatHappened) {
  StartInProcess();
  Car car = Open("car");
  const v1::GetSessionStatusResponse fresh = car.Status();
  EXPECT_EQ(fresh.latest_snapshot().version(), 0U);
  EXPECT_FALSE(fresh.has_latest_capture_time_us());
  EXPECT_FALSE(fresh.has_observation_time_us());
  control_->prefill_gate.Close();
  car.PlanAt(0);
  control_->prefill_gate.Open();
  ASSERT_TRUE(car.WaitForSnapshots(1));
  car.PlanAt(700'000);
  ASSERT_TRUE(car.WaitForSnapshots(2));
  // The link's state is told by a thread of its own, maybe after the first snapshots.
  ASSERT_TRUE(car.WaitFor([](const auto& now) { return now.link_state() == v1::LINK_STATE_UP; }));
  const v1::GetSessionStatusResponse status = car.Status();
  EXPECT_EQ(status.session(), "car");
  EXPECT_EQ(status.episode(), 1U);
  EXPECT_EQ(status.latest_snapshot().session(), "car");
  EXPECT_EQ(status.latest_snapshot().version(), 2U);
  EXPECT_EQ(status.latest_capture_time_us(), 700'000);
  EXPECT_EQ(status.retained_versions(), 2U);
  EXPECT_EQ(status.observation_time_us(), 700'000);
  EXPECT_EQ(status.link_state(), v1::LINK_STATE_UP);
  EXPECT_EQ(status.link_message(), "");
  EXPECT_EQ(status.parked_plans(), 0U);
  EXPECT_EQ(status.plans_answered(), 2U);
  EXPECT_EQ(status.snapshots_published(), 2U);
  EXPECT_EQ(status.snapshots_rejected(), 0U);
  EXPECT_EQ(status.plans_fallback(), 1U);
  EXPECT_FALSE(status.recovering());
}

TEST_F(SessionRpcsTest, PlanningStatusSaysWhatTheServerIs) {
  PlanningProcess::Options options;
  options.engine.session_limit = 3;
  options.engine.loop.queue_capacity = 17;
  StartOverGrpc(options);
  planning_->expert().mutable_info().target_point_rule = "7.5 m";
  Open("one");
  Open("two");
  v1::GetPlanningStatusResponse status;
  ASSERT_TRUE(Call(&Stub::GetPlanningStatus, v1::GetPlanningStatusRequest(), &status).ok());
  EXPECT_EQ(status.model_revision(), kFakeRevision);
  EXPECT_FALSE(status.weights_trained());
  EXPECT_TRUE(status.ready());
  EXPECT_FALSE(status.draining());
  EXPECT_EQ(status.lane(), v1::SNAPSHOT_LANE_GRPC);
  EXPECT_EQ(status.sessions(), 2U);
  EXPECT_EQ(status.session_limit(), 3U);
  EXPECT_EQ(status.queued_plans(), 0U);
  EXPECT_EQ(status.queue_limit(), 17U);
  EXPECT_EQ(status.target_point_rule(), "7.5 m");
  EXPECT_EQ(status.camera_width(), 8U);
  EXPECT_EQ(status.camera_height(), 4U);
  Open("three");
  v1::OpenSessionResponse opened;
  const grpc::Status full = OpenAs("four", "", &opened);
  EXPECT_EQ(full.error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_THAT(full.error_message(), HasSubstr("limit 3"));
}

TEST_F(SessionRpcsTest, HealthIsReadyWithoutPeerOrVehicleAndReflectionListsTheServices) {
  planning::GrpcSnapshotChannelOptions lane;
  lane.addresses = {"127.0.0.1:1"};  // nobody is there
  lane.pool.prefault = false;
  auto channel = planning::GrpcSnapshotChannel::Create(lane);
  ASSERT_TRUE(channel.ok());
  lane_ = *std::move(channel);
  StartPlanning({}, lane_.get());
  for (const char* service : {"", "automot.v1.PlanningService", "live"}) {
    EXPECT_EQ(CheckHealth(channel_, service), HealthStatus::kServing) << service;
  }
  EXPECT_EQ(CheckHealth(channel_, "nothing"), HealthStatus::kUnknownService);
  const std::string services = ListServices(channel_);
  EXPECT_THAT(services, HasSubstr("automot.v1.PlanningService"));
  EXPECT_THAT(services, HasSubstr("grpc.health.v1.Health"));
  Car car = Open("car");
  EXPECT_TRUE(Has(car.PlanAt(0), v1::REASON_FALLBACK));
  EXPECT_EQ(car.Status().link_state(), v1::LINK_STATE_DOWN);
}

}  // namespace
}  // namespace automot
