// PlanBatch: the vehicles of one simulator step, each with its own outcome.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/integration/planning/planning_fixture.h"

namespace automot {
namespace {

using ::testing::HasSubstr;
using Stub = v1::PlanningService::Stub;

class PlanBatchTest : public PlanningTest {};

TEST_F(PlanBatchTest, ResultsComeInTheOrderOfTheRequests) {
  StartInProcess();
  std::vector<std::unique_ptr<Car>> cars;
  for (const char* name : {"a", "b", "c"}) {
    cars.push_back(std::make_unique<Car>(OpenWithContext(name)));
  }
  v1::PlanBatchRequest request;
  for (auto& car : cars) *request.add_plans() = car->RequestAt(100'000);
  v1::PlanBatchResponse response;
  ASSERT_TRUE(Call(&Stub::PlanBatch, request, &response).ok());
  ASSERT_EQ(response.results_size(), 3);
  for (int i = 0; i < 3; ++i) {
    const v1::PlanBatchResult& result = response.results(i);
    EXPECT_EQ(result.session(), cars[static_cast<size_t>(i)]->name());
    EXPECT_EQ(result.status().code(), 0) << result.status().message();
    EXPECT_EQ(result.plan().session(), result.session());
    EXPECT_EQ(result.plan().provenance().snapshot().session(), result.session());
    EXPECT_EQ(result.plan().provenance().ages().context_us(), 100'000);
  }
}

TEST_F(PlanBatchTest, BadVehiclesFailOnlyThemselves) {
  StartInProcess();
  Car good = OpenWithContext("good"), bad = OpenWithContext("bad"), old = OpenWithContext("old");
  v1::PlanBatchRequest request;
  *request.add_plans() = bad.RequestAt(100'000);
  request.mutable_plans(0)->mutable_observation()->mutable_camera_images(0)->set_width(7);
  *request.add_plans() = good.RequestAt(100'000);
  request.add_plans()->set_session("nobody");
  request.mutable_plans(2)->mutable_observation()->CopyFrom(SeenAt(0));
  *request.add_plans() = old.RequestAt(100'000);
  request.mutable_plans(3)->set_sequence(1);  // accepted before
  request.add_plans()->set_session(std::string(100'000, 'x'));
  v1::PlanBatchResponse response;
  const grpc::Status status = Call(&Stub::PlanBatch, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.results_size(), 5);
  EXPECT_EQ(response.results(0).status().code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(response.results(0).status().message(), HasSubstr("RAW_RGB of 7 x 4"));
  EXPECT_FALSE(response.results(0).has_plan());
  EXPECT_EQ(response.results(1).status().code(), 0) << response.results(1).status().message();
  EXPECT_EQ(response.results(2).status().code(), grpc::NOT_FOUND);
  EXPECT_EQ(response.results(3).status().code(), grpc::ALREADY_EXISTS);
  EXPECT_EQ(response.results(4).status().code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(response.results(4).status().message(), HasSubstr("session has 100000 bytes"));
  EXPECT_LE(response.ByteSizeLong(), 8192U) << "no echo of what was absurd";
  good.PlanAt(150'000);
  bad.PlanAt(150'000);
}

TEST_F(PlanBatchTest, ParkedVehicleHoldsTheBatchAndNobodyElse) {
  StartInProcess();
  Car fast = OpenWithContext("fast"), other = OpenWithContext("other");
  Car slow = OpenToPark("slow");
  v1::PlanBatchRequest request;
  *request.add_plans() = slow.RequestAt(0);
  *request.add_plans() = fast.RequestAt(100'000);
  v1::PlanBatchResponse response;
  grpc::Status status;
  std::thread waiting([&] { status = Call(&Stub::PlanBatch, request, &response); });
  EXPECT_TRUE(WaitForParked(slow, 1));
  other.PlanAt(100'000);
  control_->prefill_gate.Open();
  waiting.join();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.results(0).plan().provenance().snapshot().version(), 1U);
  EXPECT_EQ(response.results(1).status().code(), 0);
}

TEST_F(PlanBatchTest, RefusalForLoadIsTheVehiclesOwnWithItsDelay) {
  PlanningProcess::Options options;
  options.engine.loop.queue_capacity = 2;
  StartInProcess(options);
  Car held = OpenWithContext("held"), first = OpenWithContext("first"),
      second = OpenWithContext("second"), third = OpenWithContext("third");
  HoldPlanning();
  std::thread running([&, plan = held.RequestAt(100'000)] {
    v1::PlanResponse response;
    EXPECT_TRUE(Call(&Stub::Plan, plan, &response).ok());
  });
  ASSERT_TRUE(plan_gate_.WaitForArrivals(1));
  v1::PlanBatchRequest request;
  *request.add_plans() = first.RequestAt(100'000);
  *request.add_plans() = second.RequestAt(100'000);
  *request.add_plans() = third.RequestAt(100'000);
  v1::PlanBatchResponse response;
  grpc::Status status;
  std::thread batch([&] { status = Call(&Stub::PlanBatch, request, &response); });
  // Vehicles are taken in order: once the third is, the second has been refused.
  EXPECT_TRUE(third.WaitFor([](const auto& s) { return s.observation_time_us() == 100'000; }));
  plan_gate_.Open();
  running.join();
  batch.join();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.results(0).status().code(), 0);
  EXPECT_EQ(response.results(1).status().code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_GE(response.results(1).status().retry_after_ms(), 1);
}

TEST_F(PlanBatchTest, BatchItselfIsChecked) {
  StartInProcess();
  v1::PlanBatchRequest request;
  v1::PlanBatchResponse response;
  EXPECT_TRUE(Call(&Stub::PlanBatch, request, &response).ok()) << "an empty step is answered";
  request.add_plans()->set_session("twin");
  request.add_plans()->set_session("twin");
  grpc::Status status = Call(&Stub::PlanBatch, request, &response);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("plans names session 'twin' twice"));
  request.Clear();
  for (int i = 0; i < 257; ++i) request.add_plans()->set_session(std::to_string(i));
  status = Call(&Stub::PlanBatch, request, &response);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("plans has 257 elements; the limit is 256"));
}

TEST_F(PlanBatchTest, CancelledBatchNeverRuns) {
  StartInProcess();
  Car car = OpenToPark("car");
  const uint64_t before = planning_->expert().plans();
  grpc::ClientContext call;
  grpc::Status status;
  std::thread batch([&, plan = car.RequestAt(0)] {
    v1::PlanBatchRequest request;
    *request.add_plans() = plan;
    v1::PlanBatchResponse response;
    status = stub_->PlanBatch(&call, request, &response);
  });
  EXPECT_TRUE(WaitForParked(car, 1));
  call.TryCancel();
  batch.join();
  EXPECT_EQ(status.error_code(), grpc::CANCELLED);
  ExpectParkedPlanIsGone(car, before);
}

}  // namespace
}  // namespace automot
