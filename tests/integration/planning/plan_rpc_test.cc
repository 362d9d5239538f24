// Plan as a foreign client sees it: every field of the answer, the context choices, deadlines,
// cancellation and refusal for load.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/integration/planning/planning_fixture.h"

namespace automot {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PlanRpcTest : public PlanningTest {
 protected:
  // Sends `request` on a thread of its own and puts what came of it into `*status`.
  std::thread InBackground(const v1::PlanRequest& request, grpc::Status* status) {
    return std::thread([this, request, status] {
      v1::PlanResponse response;
      *status = Call(&v1::PlanningService::Stub::Plan, request, &response);
    });
  }

  ManualClock clock_;
};

void ExpectDecision(const v1::Decision& decision, int64_t first_us, float probability) {
  ASSERT_EQ(decision.slots_size(), 3);
  for (int i = 0; i < 3; ++i) {
    const v1::DecisionSlot& slot = decision.slots(i);
    EXPECT_EQ(slot.time_us(), first_us + i * 1'000'000);
    EXPECT_EQ(slot.longitudinal(), v1::LONGITUDINAL_ACTION_KEEP);
    EXPECT_FALSE(slot.has_lateral());
    EXPECT_EQ(slot.text(), "keep");
    EXPECT_EQ(slot.probability(), probability);
  }
}

void ExpectFullProvenance(const v1::PlanProvenance& provenance) {
  EXPECT_EQ(provenance.snapshot().session(), "car");
  EXPECT_EQ(provenance.snapshot().episode(), 1U);
  EXPECT_GT(provenance.snapshot().epoch(), 0U);
  EXPECT_EQ(provenance.snapshot().version(), 1U);
  EXPECT_EQ(provenance.snapshot_capture_time_us(), 0);
  EXPECT_EQ(provenance.model_revision(), kFakeRevision);
  EXPECT_EQ(provenance.ages().context_us(), 400'000);
  EXPECT_EQ(provenance.ages().camera_us(), 20'000);
  EXPECT_EQ(provenance.ages().lidar_us(), 30'000);
  EXPECT_TRUE(provenance.ages().has_version_gap());
  EXPECT_EQ(provenance.ages().version_gap(), 0U);
  EXPECT_DOUBLE_EQ(provenance.context_travel().distance_m(), 2.0);
  EXPECT_DOUBLE_EQ(provenance.context_travel().yaw_change_rad(), 0.25);
  EXPECT_DOUBLE_EQ(provenance.context_travel().speed_change_mps(), 1.5);
  EXPECT_TRUE(provenance.context_travel().has_target_point_shift_m());
  const v1::PlanTiming& timing = provenance.timing();
  EXPECT_GT(timing.ingest_s(), 0.0);
  EXPECT_GT(timing.queue_s(), 0.0);
  EXPECT_EQ(timing.parked_s(), 0.0);
  EXPECT_EQ(timing.bev_encoder_s(), 0.25);
  EXPECT_EQ(timing.action_expert_s(), 0.5);
  EXPECT_GE(timing.total_s(), timing.ingest_s() + timing.queue_s());
}

TEST_F(PlanRpcTest, AnswerHoldsEverythingThatItsTrustNeeds) {
  StartInProcess();
  v1::SessionOptions options = OptionsOf(v1::TIME_MODE_REALTIME);
  options.set_run_controller(true);
  Car car(stub_.get(), "car", options);
  car.PlanAt(0);
  ASSERT_TRUE(car.WaitForSnapshots(1));
  v1::PlanRequest request = car.RequestAt(400'000);
  v1::Observation* seen = request.mutable_observation();
  seen->mutable_camera_images(0)->set_capture_time_us(380'000);
  seen->mutable_lidar()->set_capture_time_us(370'000);
  seen->mutable_lidar()->mutable_points();
  seen->mutable_ego_state()->set_speed_mps(6.5);
  seen->mutable_ego_state()->mutable_pose()->set_yaw_rad(0.25);
  v1::PlanResponse answer;
  ASSERT_TRUE(car.Send(request, &answer).ok());

  EXPECT_EQ(answer.session(), "car");
  EXPECT_EQ(answer.sequence(), 2U);
  EXPECT_EQ(answer.episode(), 1U);
  EXPECT_EQ(answer.capture_time_us(), 400'000);
  ASSERT_EQ(answer.trajectory().route_size(), kRoutePoints);
  EXPECT_EQ(answer.trajectory().route(1).x(), 2.0);
  EXPECT_EQ(answer.trajectory().route(0).y(), 1.0) << "the context's version";
  ASSERT_EQ(answer.trajectory().waypoints_size(), kWaypoints);
  for (int i = 0; i < kWaypoints; ++i) {
    EXPECT_EQ(answer.trajectory().waypoints(i).time_offset_us(), (i + 1) * 500'000);
    EXPECT_DOUBLE_EQ(answer.trajectory().waypoints(i).position().x(), 6.5 * 0.5 * (i + 1));
  }
  ExpectDecision(answer.decision(), 400'000, 0.75F);
  ExpectDecision(answer.context_decision(), 0, 0.5F);
  EXPECT_EQ(answer.decision_agreement(), v1::DECISION_AGREEMENT_NOT_COMPARABLE)
      << "no slot speaks of the same time";
  EXPECT_EQ(answer.decision_consistency(), v1::DECISION_CONSISTENCY_CONSISTENT);
  EXPECT_TRUE(answer.has_control());
  ExpectFullProvenance(answer.provenance());
  EXPECT_THAT(answer.provenance().reasons(), ElementsAre(v1::REASON_SHORT_HISTORY));
}

TEST_F(PlanRpcTest, AnswerWithoutContextSaysSoAndClaimsNone) {
  StartInProcess();
  control_->prefill_gate.Close();
  Car car = Open("car");
  const v1::PlanResponse answer = car.PlanAt(0);
  EXPECT_THAT(answer.provenance().reasons(),
              ElementsAre(v1::REASON_NO_CONTEXT, v1::REASON_FALLBACK));
  EXPECT_EQ(answer.provenance().snapshot().version(), 0U);
  EXPECT_FALSE(answer.provenance().has_snapshot_capture_time_us());
  EXPECT_FALSE(answer.provenance().ages().has_context_us());
  EXPECT_FALSE(answer.provenance().ages().has_version_gap());
  EXPECT_FALSE(answer.provenance().has_context_travel());
  EXPECT_FALSE(answer.has_context_decision());
  EXPECT_FALSE(answer.has_control());
  EXPECT_EQ(answer.decision().slots(0).longitudinal(), v1::LONGITUDINAL_ACTION_STOP);
  EXPECT_EQ(answer.decision_agreement(), v1::DECISION_AGREEMENT_NOT_COMPARABLE);
  EXPECT_EQ(answer.trajectory().waypoints_size(), kWaypoints);
}

TEST_F(PlanRpcTest, SteppedPlanIsParkedUntilItsContextComesAndSaysForHowLong) {
  StartInProcess();
  Car car = OpenToPark("car");
  const v1::PlanRequest request = car.RequestAt(0);
  v1::PlanResponse answer;
  grpc::Status status;
  std::thread waiting([&] { status = Call(&v1::PlanningService::Stub::Plan, request, &answer); });
  EXPECT_TRUE(WaitForParked(car, 1));
  control_->prefill_gate.Open();
  waiting.join();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(answer.provenance().snapshot().version(), 1U);
  EXPECT_GT(answer.provenance().timing().parked_s(), 0.0);
  EXPECT_EQ(car.Status().parked_plans(), 0U);
}

TEST_F(PlanRpcTest, ChosenContextIsUsedOrRefused) {
  StartInProcess();
  Car car = OpenWithContext("car");
  v1::PlanRequest request = car.RequestAt(100'000);
  request.mutable_context()->set_at_least_version(1);
  v1::PlanResponse answer;
  ASSERT_TRUE(car.Send(request, &answer).ok());
  const v1::SnapshotId used = answer.provenance().snapshot();

  request = car.RequestAt(200'000);
  request.mutable_context()->set_at_least_version(9);
  grpc::Status status = car.Send(request, &answer);
  EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("context.at_least_version is 9"));

  request = car.RequestAt(300'000);
  *request.mutable_context()->mutable_exactly() = used;
  ASSERT_TRUE(car.Send(request, &answer).ok());
  EXPECT_EQ(answer.provenance().snapshot().version(), used.version());

  request = car.RequestAt(400'000);
  *request.mutable_context()->mutable_exactly() = used;
  request.mutable_context()->mutable_exactly()->set_version(9);
  status = car.Send(request, &answer);
  EXPECT_EQ(status.error_code(), grpc::NOT_FOUND);
  EXPECT_THAT(status.error_message(), HasSubstr("version 9"));
}

TEST_F(PlanRpcTest, RequestOverridesTheSessionsPolicyOnExpiry) {
  StartInProcess();
  Car car = OpenWithContext("car");
  control_->prefill_gate.Close();  // no newer context comes
  v1::PlanRequest request = car.RequestAt(1'500'000);
  request.set_on_expired(v1::ON_EXPIRED_ANSWER);
  v1::PlanResponse answer;
  ASSERT_TRUE(car.Send(request, &answer).ok());
  EXPECT_TRUE(Has(answer, v1::REASON_EXPIRED));
  EXPECT_FALSE(Has(answer, v1::REASON_FALLBACK));
  request = car.RequestAt(1'600'000);
  request.set_on_expired(v1::ON_EXPIRED_REJECT);
  const grpc::Status status = car.Send(request, &answer);
  EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(),
              HasSubstr("context staleness is 1600000 us; the hard limit is 1000000 us"));
}

TEST_F(PlanRpcTest, DecisionsAreComparedOnTheTimesThatBothSpeakOf) {
  StartInProcess();
  Car car = OpenWithContext("car");
  EXPECT_EQ(car.PlanAt(0).decision_agreement(), v1::DECISION_AGREEMENT_AGREE);
}

TEST_F(PlanRpcTest, PlanWhoseDeadlinePassedInTheQueueNeverRuns) {
  PlanningProcess::Options options;
  options.clock = &clock_;
  StartInProcess(options);
  Car first = OpenWithContext("first"), second = OpenWithContext("second"),
      third = OpenWithContext("third");
  const uint64_t before = planning_->expert().plans();
  HoldPlanning();
  grpc::Status held;
  std::thread running = InBackground(first.RequestAt(100'000), &held);
  ASSERT_TRUE(plan_gate_.WaitForArrivals(1));
  v1::PlanBatchRequest request;
  *request.add_plans() = second.RequestAt(100'000);
  *request.add_plans() = third.RequestAt(100'000);
  v1::PlanBatchResponse late;
  std::thread waiting(
      [&] { EXPECT_TRUE(Call(&v1::PlanningService::Stub::PlanBatch, request, &late).ok()); });
  while (planning_->engine().load().pending < 3) {  // the second one is in the queue for sure
  }
  clock_.Advance(absl::Minutes(2));  // the calls' deadline is in one minute
  plan_gate_.Open();
  running.join();
  waiting.join();
  EXPECT_TRUE(held.ok()) << held.error_message();
  ASSERT_EQ(late.results_size(), 2);
  EXPECT_EQ(late.results(0).status().code(), grpc::DEADLINE_EXCEEDED);
  EXPECT_THAT(late.results(0).status().message(),
              HasSubstr("plan 2 did not start before its deadline"));
  EXPECT_EQ(planning_->expert().plans(), before + 1);
  second.PlanAt(200'000);
}

TEST_F(PlanRpcTest, DeadlineOfAParkedPlanEndsIt) {
  StartInProcess();
  Car car = OpenToPark("car");
  const uint64_t before = planning_->expert().plans();
  grpc::ClientContext call;
  call.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
  v1::PlanResponse response;
  EXPECT_EQ(stub_->Plan(&call, car.RequestAt(0), &response).error_code(), grpc::DEADLINE_EXCEEDED);
  ExpectParkedPlanIsGone(car, before);
}

TEST_F(PlanRpcTest, DeadlineOfTheCallIsThatOfThePlan) {
  PlanningProcess::Options options;
  options.clock = &clock_;
  StartInProcess(options);
  Car car = OpenToPark("car");
  grpc::Status late;
  std::thread waiting = InBackground(car.RequestAt(0), &late);
  EXPECT_TRUE(WaitForParked(car, 1));
  clock_.Advance(absl::Minutes(2));  // the call's deadline is in one minute
  planning_->engine().NoticeCancellation();
  waiting.join();
  EXPECT_EQ(late.error_code(), grpc::DEADLINE_EXCEEDED);
  EXPECT_THAT(late.error_message(), HasSubstr("plan 1 did not start before its deadline"));
}

TEST_F(PlanRpcTest, CancelledPlanNeverRuns) {
  StartInProcess();
  Car car = OpenToPark("car");
  const uint64_t before = planning_->expert().plans();
  grpc::ClientContext call;
  grpc::Status cancelled;
  std::thread waiting([&, request = car.RequestAt(0)] {
    v1::PlanResponse response;
    cancelled = stub_->Plan(&call, request, &response);
  });
  EXPECT_TRUE(WaitForParked(car, 1));
  call.TryCancel();
  waiting.join();
  EXPECT_EQ(cancelled.error_code(), grpc::CANCELLED);
  ExpectParkedPlanIsGone(car, before);
}

TEST_F(PlanRpcTest, RefusalForLoadSaysWhenToTryAgain) {
  PlanningProcess::Options options;
  options.engine.loop.queue_capacity = 1;
  StartInProcess(options);
  Car first = OpenWithContext("first");
  AwaitFreeQueue();
  Car second = OpenWithContext("second");
  AwaitFreeQueue();
  HoldPlanning();
  grpc::Status held;
  std::thread running = InBackground(first.RequestAt(100'000), &held);
  ASSERT_TRUE(plan_gate_.WaitForArrivals(1));

  grpc::ClientContext call;
  SetPatience(&call);
  v1::PlanResponse response;
  const grpc::Status refused = stub_->Plan(&call, second.RequestAt(100'000), &response);
  EXPECT_EQ(refused.error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.error_message(), HasSubstr("limit is 1"));
  const auto& trailer = call.GetServerTrailingMetadata();
  const auto retry = trailer.find("automot-retry-after-ms");
  ASSERT_NE(retry, trailer.end());
  EXPECT_GE(std::stoll(std::string(retry->second.data(), retry->second.size())), 1);
  plan_gate_.Open();
  running.join();
  EXPECT_TRUE(held.ok()) << held.error_message();
  while (planning_->engine().load().pending > 0) {
  }
  second.PlanAt(200'000);  // accepted work went on, and there is room again
}

TEST_F(PlanRpcTest, NewerPlanOfTheSameVehicleSupersedesTheWaitingOne) {
  StartInProcess();
  Car other = OpenWithContext("other"), car = OpenWithContext("car");
  HoldPlanning();
  grpc::Status held, old;
  std::thread running = InBackground(other.RequestAt(100'000), &held);
  ASSERT_TRUE(plan_gate_.WaitForArrivals(1));
  std::thread waiting = InBackground(car.RequestAt(100'000), &old);
  while (planning_->engine().load().pending < 2) {
  }
  grpc::Status newest;
  std::thread last = InBackground(car.RequestAt(200'000), &newest);
  while (planning_->engine().load().pending < 3) {
  }
  plan_gate_.Open();
  running.join();
  waiting.join();
  last.join();
  EXPECT_EQ(old.error_code(), grpc::ABORTED);
  EXPECT_THAT(old.error_message(), HasSubstr("superseded"));
  EXPECT_TRUE(newest.ok()) << newest.error_message();
}

TEST_F(PlanRpcTest, FailureOfTheExpertIsItsOwnPlansOnly) {
  StartInProcess();
  Car car = OpenWithContext("car");
  planning_->expert().set_fail(true);
  v1::PlanResponse answer;
  EXPECT_EQ(car.Send(car.RequestAt(100'000), &answer).error_code(), grpc::INTERNAL);
  planning_->expert().set_fail(false);
  EXPECT_FALSE(Has(car.PlanAt(200'000), v1::REASON_FALLBACK));
}

}  // namespace
}  // namespace automot
