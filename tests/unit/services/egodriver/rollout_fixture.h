// The egodriver engine on a planning engine with the fake expert and the fake channel.
#pragma once

#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/image/encode.h"
#include "services/egodriver/egodriver_engine.h"
#include "tests/unit/services/planning/engine_fixture.h"

namespace automot::egodriver {

using planning::Eventually;
using planning::kPatience;

// A pinhole of the fake expert's size and view that looks straight ahead.
inline RigCamera FrontCamera(const std::string& id = "front") {
  RigCamera camera{.id = id, .width = 8, .height = 4};
  camera.lens.principal_point = {4.0, 2.0};
  camera.lens.focal_length = {2.8, 2.8};
  camera.camera_in_rig = {0.5, -0.5, 0.5, -0.5};
  return camera;
}

inline StartRequest RequestFor(const std::string& id) {
  StartRequest request;
  request.id = id;
  request.cameras = {FrontCamera()};
  return request;
}

// What came back for one drive, copied out.
struct Driven {
  absl::Status status;
  std::vector<TimedPose> plan;
  ReasonSet reasons;
};

class RolloutTest : public planning::EngineTest {
 protected:
  void SetUp() override { StartWith({}, {}); }
  void TearDown() override {
    gate_.Open();
    egodriver_.reset();
    EngineTest::TearDown();
  }

  void StartWith(const planning::PlanningEngineOptions& engine, const EgodriverOptions& options) {
    egodriver_.reset();
    expert_.mutable_info().target_point_rule = "route_distance:8,20";
    Start(engine);
    auto made = EgodriverEngine::Create(options, engine_.get(), &clock_, &counts_);
    ASSERT_TRUE(made.ok()) << made.status();
    egodriver_ = *std::move(made);
  }

  // A held start in flight.
  std::future<absl::Status> Begin(StartRequest request, CancelFlag cancelled = nullptr) {
    auto promise = std::make_shared<std::promise<absl::Status>>();
    egodriver_->Start(std::move(request), std::move(cancelled),
                      [promise](absl::Status status) { promise->set_value(std::move(status)); });
    return promise->get_future();
  }
  static absl::Status Outcome(std::future<absl::Status> pending) {
    if (pending.wait_for(kPatience) == std::future_status::ready) return pending.get();
    return absl::UnknownError("no answer");
  }
  std::shared_ptr<Rollout> Run(const std::string& id) {
    EXPECT_TRUE(Outcome(Begin(RequestFor(id))).ok());
    auto rollout = egodriver_->Find(id);
    EXPECT_TRUE(rollout.ok()) << rollout.status();
    return rollout.value_or(nullptr);
  }

  std::future<Driven> Drive(const std::shared_ptr<Rollout>& rollout, SessionTimeUs now_us,
                            std::optional<LidarMeasurement> lidar = std::nullopt,
                            CancelFlag cancelled = nullptr) {
    auto promise = std::make_shared<std::promise<Driven>>();
    egodriver_->Drive(rollout, now_us, std::move(lidar), std::move(cancelled),
                      [promise](const DriveAnswer& answer) {
                        Driven driven{answer.status, answer.plan};
                        if (answer.work != nullptr) driven.reasons = answer.work->result.reasons;
                        promise->set_value(std::move(driven));
                      });
    return promise->get_future();
  }
  static Driven Await(std::future<Driven> pending) {
    if (pending.wait_for(kPatience) == std::future_status::ready) return pending.get();
    ADD_FAILURE() << "no answer";
    return {absl::UnknownError("no answer")};
  }

  static std::string Jpeg() { return *image::EncodeJpeg(planning::Picture()); }
  static TimedPose PoseAt(SessionTimeUs time_us, double x, double y, double yaw,
                          double speed_mps = 5.0) {
    return {time_us, {{x, y, 3.0}, AboutZ(yaw)}, Motion{speed_mps, 0.0}};
  }
  // Poses and a frame of `time_us`, and the context that this frame asks for.
  void Report(Rollout& rollout, SessionTimeUs time_us) {
    rollout.TakePoses({PoseAt(time_us, 5e-6 * static_cast<double>(time_us), 0.0, 0.0)});
    EXPECT_TRUE(rollout.TakeFrame("front", time_us, Jpeg()).ok());
  }

  EgodriverMetrics counts_;
  std::unique_ptr<EgodriverEngine> egodriver_;
};

}  // namespace automot::egodriver
