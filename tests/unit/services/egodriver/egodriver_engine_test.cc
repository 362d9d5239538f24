// Steps of a rollout: what the engine is told, and what comes back.
#include "services/egodriver/egodriver_engine.h"

#include <cmath>
#include <thread>

#include "tests/unit/services/egodriver/rollout_fixture.h"

namespace automot::egodriver {
namespace {

using EgodriverEngineTest = RolloutTest;

TEST_F(EgodriverEngineTest, TheFirstPlanWaitsForItsContextAndLeadsWithThePoseOfNow) {
  const auto rollout = Run("a");
  EXPECT_TRUE(channel_.attached("egodriver/a"));
  rollout->TakePoses({PoseAt(0, 250.0, -80.0, 2.0)});
  ASSERT_TRUE(rollout->TakeFrame("front", 0, Jpeg()).ok());
  std::future<Driven> pending = Drive(rollout, 0);
  ASSERT_TRUE(AwaitParked(1));
  ASSERT_TRUE(channel_.Publish(0));
  const Driven driven = Await(std::move(pending));
  ASSERT_TRUE(driven.status.ok()) << driven.status;
  ASSERT_EQ(driven.plan.size(), 51U);
  EXPECT_EQ(driven.plan[0].time_us, 0);
  EXPECT_DOUBLE_EQ(driven.plan[0].pose.position.x, 250.0);
  // The fake expert drives straight on at the speed of now.
  EXPECT_NEAR(driven.plan[10].pose.position.x, 250.0 + 5.0 * std::cos(2.0), 1e-6);
  EXPECT_NEAR(driven.plan[10].pose.position.y, -80.0 + 5.0 * std::sin(2.0), 1e-6);
  EXPECT_TRUE(driven.reasons.Has(Reason::kNoLidar));
  EXPECT_FALSE(driven.reasons.Has(Reason::kFallback));
}

TEST_F(EgodriverEngineTest, TheModelSeesTheVehicleInItsOwnFrames) {
  const auto rollout = Run("a");
  const double yaw = 0.7;
  TimedPose pose = PoseAt(100'000, 250.0, -80.0, yaw, 6.0);
  pose.motion->yaw_rate_radps = 0.2;  // to the left
  // The route first: it is placed by a pose that comes later. 2 m to the left of the rig.
  RouteReport route{.time_us = 100'000};
  for (int i = 0; i < 20; ++i) route.waypoints.push_back({i * 80.0 / 19, 2.0, 0.0});
  rollout->TakeRoute(route);
  ASSERT_TRUE(rollout->TakeFrame("front", 100'000, Jpeg()).ok());
  rollout->TakePoses({pose});
  std::future<Driven> pending = Drive(rollout, 100'000);
  ASSERT_TRUE(AwaitParked(1));
  channel_.Publish(100'000);
  ASSERT_TRUE(Await(std::move(pending)).status.ok());
  ASSERT_EQ(channel_.submitted().size(), 1U);
  const context::SlowObservation& seen = *channel_.submitted()[0];
  EXPECT_NEAR(seen.ego.pose->position.x, 250.0 + 1.4 * std::cos(yaw), 1e-9);
  EXPECT_NEAR(seen.ego.pose->position.y, 80.0 - 1.4 * std::sin(yaw), 1e-9);
  EXPECT_NEAR(seen.ego.pose->yaw_rad, -yaw, 1e-9);
  EXPECT_DOUBLE_EQ(seen.ego.speed_mps, 6.0);
  EXPECT_DOUBLE_EQ(*seen.ego.yaw_rate_radps, -0.2);
  // The route begins 1.4 m behind the model's origin, so distances count from beside it.
  EXPECT_NEAR(seen.target.current.x, 8.0, 1e-6);
  EXPECT_NEAR(seen.target.current.y, -2.0, 1e-6) << "left is negative";
  EXPECT_NEAR(seen.target.next.x, 20.0, 1e-6);
  ASSERT_EQ(seen.frames.size(), 1U);
  EXPECT_EQ(seen.frames[0]->image->width, 8);
  EXPECT_TRUE(seen.frames[0]->was_jpeg);
}

TEST_F(EgodriverEngineTest, WithoutARouteTheWayIsStraightAhead) {
  const auto rollout = Run("a");
  Report(*rollout, 0);
  rollout->TakeRoute({.time_us = 0});  // NaN from the first waypoint on
  std::future<Driven> pending = Drive(rollout, 0);
  ASSERT_TRUE(AwaitParked(1));
  channel_.Publish(0);
  EXPECT_TRUE(Await(std::move(pending)).status.ok());
  EXPECT_EQ(channel_.submitted()[0]->target.current, (Vec2{8.0, 0.0}));
}

TEST_F(EgodriverEngineTest, AChangedRouteAsksForAContextAheadOfSchedule) {
  const auto rollout = Run("a");
  const auto straight = [](double side) {
    RouteReport route;
    for (int i = 0; i < 20; ++i) route.waypoints.push_back({4.0 * i, side, 0.0});
    return route;
  };
  const auto step = [&](SessionTimeUs time_us, double side) {
    Report(*rollout, time_us);
    RouteReport route = straight(side);
    route.time_us = time_us;
    rollout->TakeRoute(route);
    std::future<Driven> pending = Drive(rollout, time_us);
    if (AwaitParked(1)) channel_.Publish(time_us);
    return Await(std::move(pending));
  };
  EXPECT_TRUE(step(0, 0.0).status.ok());
  // The same lane again, then one 8 m beside it.
  Report(*rollout, 100'000);
  RouteReport same = straight(0.2);
  same.time_us = 100'000;
  rollout->TakeRoute(same);
  EXPECT_TRUE(Await(Drive(rollout, 100'000)).status.ok());
  EXPECT_TRUE(channel_.submitted().back()->history_only) << "half a second has not passed";
  EXPECT_TRUE(step(200'000, 8.0).status.ok());
  EXPECT_FALSE(channel_.submitted().back()->history_only);
  EXPECT_TRUE(channel_.submitted().back()->urgent);
}

TEST_F(EgodriverEngineTest, FramesAreSortedBoundedAndTakenOnce) {
  const auto rollout = Run("a");
  rollout->TakePoses({PoseAt(0, 0, 0, 0), PoseAt(2'000'000, 10, 0, 0)});
  for (int i = 11; i >= 0; --i) {
    ASSERT_TRUE(rollout->TakeFrame("front", i * 100'000, Jpeg()).ok());
    ASSERT_TRUE(rollout->TakeFrame("front", i * 100'000, Jpeg()).ok()) << "again";
  }
  ASSERT_TRUE(rollout->TakeFrame("front", 1'900'000, Jpeg()).ok()) << "of the future";
  ASSERT_TRUE(rollout->TakeFrame("side", 50'000, "not a picture").ok()) << "not looked at";
  const auto step = rollout->BeginStep(1'200'000, std::nullopt);
  ASSERT_TRUE(step.ok());
  ASSERT_EQ(step->observation.camera_frames.size(), Rollout::kMaxFrames - 1);
  for (std::size_t i = 0; i + 1 < Rollout::kMaxFrames; ++i) {
    EXPECT_EQ(step->observation.camera_frames[i].capture_time_us,
              500'000 + static_cast<SessionTimeUs>(i) * 100'000);
  }
  EXPECT_EQ(rollout->BeginStep(1'900'000, std::nullopt)->observation.camera_frames.size(), 1U);
  ASSERT_TRUE(rollout->TakeFrame("front", 900'000, Jpeg()).ok()) << "late";
  EXPECT_TRUE(rollout->BeginStep(2'000'000, std::nullopt)->observation.camera_frames.empty());
}

TEST_F(EgodriverEngineTest, ADriveWithoutAPoseIsRefusedAndOneWithoutAPictureIsNotParked) {
  const auto rollout = Run("a");
  EXPECT_TRUE(absl::IsFailedPrecondition(Await(Drive(rollout, 0)).status));
  rollout->TakePoses({PoseAt(0, 0, 0, 0)});
  const Driven blind = Await(Drive(rollout, 0));  // the clock stands: nothing else would end it
  ASSERT_TRUE(blind.status.ok()) << blind.status;
  EXPECT_TRUE(blind.reasons.Has(Reason::kFallback));
  EXPECT_EQ(blind.plan.size(), 51U);
}

TEST_F(EgodriverEngineTest, BrokenPicturesAreRefusedByName) {
  const auto rollout = Run("a");
  EXPECT_TRUE(absl::IsInvalidArgument(rollout->TakeFrame("front", 0, "")));
  EXPECT_TRUE(absl::IsInvalidArgument(rollout->TakeFrame("front", 0, "GIF89a")));
  EXPECT_TRUE(absl::IsInvalidArgument(rollout->TakeFrame("front", 0, Jpeg().substr(0, 300))));
}

TEST_F(EgodriverEngineTest, ObservationsOfOneRolloutMayRace) {
  const auto rollout = Run("a");
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const SessionTimeUs time = (i * 3 + t) * 1000;
        rollout->TakePoses({PoseAt(time, static_cast<double>(time) * 1e-3, 0, 0)});
        rollout->TakeRoute({.time_us = time, .waypoints = {{0, 0, 0}, {50, 0, 0}}});
        EXPECT_TRUE(rollout->TakeFrame("front", time, Jpeg()).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto step = rollout->BeginStep(149'000, std::nullopt);
  ASSERT_TRUE(step.ok());
  EXPECT_DOUBLE_EQ(step->now.pose.position.x, 149.0);
  EXPECT_EQ(step->observation.camera_frames.back().capture_time_us, 149'000);
}

TEST_F(EgodriverEngineTest, AFullPlanningQueueHoldsADriveAndDoesNotRefuseIt) {
  planning::PlanningEngineOptions options;
  options.loop.queue_capacity = 1;
  StartWith(options, {});
  Open("car", planning::OptionsOf(planning::TimeMode::kRealtime));
  ASSERT_TRUE(channel_.Publish(0, nullptr, "car"));
  const auto rollout = Run("a");
  rollout->TakePoses({PoseAt(0, 0, 0, 0)});
  HoldExpert();
  planning::PendingAnswer native = SendAt(0);
  ASSERT_TRUE(gate_.WaitForArrivals(1));
  std::future<Driven> pending = Drive(rollout, 0);
  ASSERT_TRUE(Eventually([&] { return metrics_.refusals.load() >= 2; })) << "asked for again";
  EXPECT_EQ(pending.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  gate_.Open();
  EXPECT_TRUE(planning::Await(std::move(native)).status.ok());
  EXPECT_TRUE(Await(std::move(pending)).status.ok());
}

TEST_F(EgodriverEngineTest, AHungDriveEndsAtItsLimit) {
  planning::PlanningEngineOptions options;
  options.park_limit = absl::Hours(1);
  StartWith(options, {});
  const auto rollout = Run("a");
  Report(*rollout, 0);
  std::future<Driven> pending = Drive(rollout, 0);
  ASSERT_TRUE(AwaitParked(1));
  clock_.Advance(absl::Seconds(61));
  engine_->NoticeCancellation();
  EXPECT_TRUE(absl::IsDeadlineExceeded(Await(std::move(pending)).status));
}

TEST_F(EgodriverEngineTest, ACancelledDriveEnds) {
  const auto rollout = Run("a");
  Report(*rollout, 0);
  auto cancelled = std::make_shared<std::atomic<bool>>(false);
  std::future<Driven> pending = Drive(rollout, 0, std::nullopt, cancelled);
  ASSERT_TRUE(AwaitParked(1));
  cancelled->store(true);
  egodriver_->NoticeCancellation();
  EXPECT_TRUE(absl::IsCancelled(Await(std::move(pending)).status));
}

TEST_F(EgodriverEngineTest, ASweepIsUsedWhereOneComes) {
  const auto rollout = Run("a");
  Report(*rollout, 0);
  LidarMeasurement lidar;
  auto points = std::make_shared<LidarPoints>();
  points->xyz = {5.0F, 1.0F, 1.0F};
  lidar.points = points;
  std::future<Driven> pending = Drive(rollout, 0, lidar);
  ASSERT_TRUE(AwaitParked(1));
  channel_.Publish(0);
  EXPECT_FALSE(Await(std::move(pending)).reasons.Has(Reason::kNoLidar));
}

TEST_F(EgodriverEngineTest, AnUnknownTargetPointRuleIsRefused) {
  egodriver_.reset();
  expert_.mutable_info().target_point_rule = "by_feel";
  const auto made = EgodriverEngine::Create({}, engine_.get(), &clock_, &counts_);
  EXPECT_TRUE(absl::IsInvalidArgument(made.status()));
}

}  // namespace
}  // namespace automot::egodriver
