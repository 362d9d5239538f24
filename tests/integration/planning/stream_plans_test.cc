// StreamPlans: ticks that overlap, ticks that fail, half-close and cancellation.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/integration/planning/planning_fixture.h"

namespace automot {
namespace {

using ::testing::HasSubstr;

// One StreamPlans call; cancelled where the test has not ended it.
class PlanStream {
 public:
  explicit PlanStream(v1::PlanningService::Stub& stub) {
    SetPatience(&call_);
    stream_ = stub.StreamPlans(&call_);
  }
  ~PlanStream() {
    if (finished_) return;
    call_.TryCancel();
    Finish();
  }
  bool Send(const v1::PlanRequest& plan) {
    v1::StreamPlansRequest request;
    *request.mutable_plan() = plan;
    return stream_->Write(request);
  }
  bool Read(v1::StreamPlansResponse* response) { return stream_->Read(response); }
  v1::StreamPlansResponse ReadOne() {
    v1::StreamPlansResponse response;
    EXPECT_TRUE(stream_->Read(&response));
    return response;
  }
  void HalfClose() { stream_->WritesDone(); }
  void Cancel() { call_.TryCancel(); }
  grpc::Status Finish() {
    finished_ = true;
    v1::StreamPlansResponse rest;
    while (stream_->Read(&rest)) {
    }
    return stream_->Finish();
  }

 private:
  grpc::ClientContext call_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::StreamPlansRequest, v1::StreamPlansResponse>>
      stream_;
  bool finished_ = false;
};

class StreamPlansTest : public PlanningTest {};

TEST_F(StreamPlansTest, EveryTickIsAnsweredByItsSequence) {
  StartInProcess();
  Car car = OpenWithContext("car");
  PlanStream stream(*stub_);
  for (int tick = 1; tick <= 20; ++tick) {
    const v1::PlanRequest request = car.RequestAt(tick * 50'000);
    ASSERT_TRUE(stream.Send(request));
    const v1::StreamPlansResponse response = stream.ReadOne();
    EXPECT_EQ(response.sequence(), request.sequence());
    EXPECT_EQ(response.status().code(), 0) << response.status().message();
    EXPECT_EQ(response.plan().session(), "car");
    EXPECT_EQ(response.plan().sequence(), request.sequence());
    EXPECT_EQ(response.plan().capture_time_us(), tick * 50'000);
  }
  stream.HalfClose();
  EXPECT_TRUE(stream.Finish().ok());
}

TEST_F(StreamPlansTest, TicksOverlapAndNoneWaitsForAParkedOne) {
  StartInProcess();
  Car running = OpenWithContext("running");
  Car waiting = OpenToPark("waiting");
  PlanStream stream(*stub_);
  const v1::PlanRequest parked = waiting.RequestAt(0);
  ASSERT_TRUE(stream.Send(parked));
  ASSERT_TRUE(WaitForParked(waiting, 1));
  const v1::PlanRequest later = running.RequestAt(100'000);
  ASSERT_TRUE(stream.Send(later));
  v1::StreamPlansResponse response = stream.ReadOne();
  EXPECT_EQ(response.plan().session(), "running") << "sent later, answered first";
  stream.HalfClose();  // the parked one is still owed
  control_->prefill_gate.Open();
  response = stream.ReadOne();
  EXPECT_EQ(response.plan().session(), "waiting");
  EXPECT_EQ(response.sequence(), parked.sequence());
  EXPECT_TRUE(stream.Finish().ok());
}

TEST_F(StreamPlansTest, FailedTickIsAResponseAndTheStreamGoesOn) {
  StartInProcess();
  Car car = OpenWithContext("car");
  PlanStream stream(*stub_);
  v1::PlanRequest bad = car.RequestAt(50'000);
  bad.mutable_observation()->mutable_ego_state()->set_speed_mps(1000.0);
  ASSERT_TRUE(stream.Send(bad));
  v1::StreamPlansResponse response = stream.ReadOne();
  EXPECT_EQ(response.sequence(), bad.sequence());
  EXPECT_EQ(response.status().code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(response.status().message(), HasSubstr("ego_state.speed_mps is 1000"));
  EXPECT_FALSE(response.has_plan());

  v1::PlanRequest unknown = car.RequestAt(50'000);
  unknown.set_session("nobody");
  ASSERT_TRUE(stream.Send(unknown));
  response = stream.ReadOne();
  EXPECT_EQ(response.status().code(), grpc::NOT_FOUND);

  ASSERT_TRUE(stream.Send(v1::PlanRequest()));
  response = stream.ReadOne();
  EXPECT_EQ(response.status().code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(response.status().message(), HasSubstr("session has 0 bytes"));

  ASSERT_TRUE(stream.Send(car.RequestAt(100'000)));
  EXPECT_EQ(stream.ReadOne().status().code(), 0);
  stream.HalfClose();
  EXPECT_TRUE(stream.Finish().ok());
}

TEST_F(StreamPlansTest, RefusalForLoadIsAResponseWithItsDelay) {
  PlanningProcess::Options options;
  options.engine.loop.queue_capacity = 1;
  StartInProcess(options);
  Car first = OpenWithContext("first");
  AwaitFreeQueue();
  Car second = OpenWithContext("second");
  AwaitFreeQueue();
  HoldPlanning();
  PlanStream stream(*stub_);
  ASSERT_TRUE(stream.Send(first.RequestAt(100'000)));
  ASSERT_TRUE(plan_gate_.WaitForArrivals(1));
  ASSERT_TRUE(stream.Send(second.RequestAt(100'000)));
  const v1::StreamPlansResponse refused = stream.ReadOne();
  EXPECT_EQ(refused.status().code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_GE(refused.status().retry_after_ms(), 1);
  plan_gate_.Open();
  EXPECT_EQ(stream.ReadOne().status().code(), 0);
}

TEST_F(StreamPlansTest, HalfCloseAtOnceEndsWell) {
  StartInProcess();
  PlanStream stream(*stub_);
  stream.HalfClose();
  v1::StreamPlansResponse response;
  EXPECT_FALSE(stream.Read(&response));
  EXPECT_TRUE(stream.Finish().ok());
}

TEST_F(StreamPlansTest, CancelledStreamsPlansNeverRunAndOthersGoOn) {
  StartInProcess();
  Car other = OpenWithContext("other");
  Car car = OpenToPark("car");
  const uint64_t before = planning_->expert().plans();
  PlanStream stream(*stub_);
  ASSERT_TRUE(stream.Send(car.RequestAt(0)));
  ASSERT_TRUE(WaitForParked(car, 1));
  stream.Cancel();
  EXPECT_EQ(stream.Finish().error_code(), grpc::CANCELLED);
  other.PlanAt(100'000);
  ExpectParkedPlanIsGone(car, before + 1);
}

// A client that sends and never reads holds back itself only, and is not answered without bound.
TEST_F(StreamPlansTest, ClientThatDoesNotReadIsSlowedAndNobodyElse) {
  StartInProcess();
  Car lazy = OpenWithContext("lazy"), other = OpenWithContext("other");
  PlanStream stream(*stub_);
  constexpr int kTicks = 400;
  std::thread writer([&] {
    for (int tick = 1; tick <= kTicks; ++tick) {
      v1::PlanRequest request = lazy.RequestAt(tick * 1000);
      request.mutable_observation()->clear_camera_images();
      EXPECT_TRUE(stream.Send(request));
    }
    stream.HalfClose();
  });
  for (int tick = 1; tick <= 5; ++tick) other.PlanAt(tick * 50'000);
  int answers = 0;
  v1::StreamPlansResponse response;
  while (stream.Read(&response)) ++answers;
  writer.join();
  EXPECT_EQ(answers, kTicks) << "each tick has its answer, if only that a newer one came";
  EXPECT_TRUE(stream.Finish().ok());
}

TEST_F(StreamPlansTest, DrainAnswersWhatIsParkedAndClosesTheStream) {
  StartInProcess();
  Car car = OpenToPark("car");
  PlanStream stream(*stub_);
  ASSERT_TRUE(stream.Send(car.RequestAt(0)));
  ASSERT_TRUE(WaitForParked(car, 1));
  std::thread drain([&] { planning_->server().Drain(); });
  const v1::StreamPlansResponse response = stream.ReadOne();
  EXPECT_EQ(response.status().code(), 0);
  EXPECT_TRUE(Has(response.plan(), v1::REASON_FALLBACK));
  drain.join();
  EXPECT_FALSE(stream.Finish().ok());
}

}  // namespace
}  // namespace automot
