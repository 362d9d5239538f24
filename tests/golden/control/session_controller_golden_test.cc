// Case f_control through a session: the planning engine with an expert that plans the case's
// trajectories must answer with the reference's commands.
#include <chrono>
#include <future>

#include "common/control/trajectory_follower.h"
#include "services/planning/planning_engine.h"
#include "tests/fakes/fake_action_expert.h"
#include "tests/fakes/fake_snapshot_channel.h"
#include "tests/golden/control/control_case.h"

namespace automot::planning {
namespace {

constexpr SessionTimeUs kTick = 50'000;
constexpr std::chrono::seconds kPatience{30};

// Plans the trajectories of a case in turn.
class CaseExpert final : public ActionExpert {
 public:
  explicit CaseExpert(std::vector<Trajectory> trajectories)
      : trajectories_(std::move(trajectories)) {
    info_.model_revision = "fake-revision";
    info_.camera_width = 8;
    info_.camera_height = 4;
    info_.crop_rows = 3;
  }
  const ActionExpertInfo& info() const override { return info_; }
  absl::StatusOr<std::unique_ptr<const PreparedContext>> Prepare(
      std::shared_ptr<const context::ContextSnapshot> snapshot) const override {
    return std::make_unique<FakePreparedContext>(std::move(snapshot));
  }
  absl::Status WarmUp(int) override { return absl::OkStatus(); }
  absl::Status Plan(const PlanFeatures&, const PreparedContext&, PlanOutput* output) override {
    output->trajectory = trajectories_.at(next_++ % trajectories_.size());
    return absl::OkStatus();
  }

 private:
  const std::vector<Trajectory> trajectories_;
  ActionExpertInfo info_;
  std::size_t next_ = 0;  // planning thread
};

Observation SeenAt(SessionTimeUs time, double speed_mps) {
  Observation seen;
  seen.capture_time_us = time;
  const RgbImage picture = {.width = 8, .height = 4, .pixels = std::vector<uint8_t>(96, 17)};
  seen.camera_frames = {
      {.capture_time_us = time, .image = std::make_shared<const RgbImage>(picture)}};
  seen.lidar.emplace();
  seen.ego = {.capture_time_us = time, .speed_mps = speed_mps};
  seen.ego.pose = Pose2{};
  seen.target = {.current = {10.0, 0.0}, .next = {20.0, 0.0}};
  return seen;
}

class GoldenSessionController : public ::testing::Test {
 protected:
  GoldenSessionController() {
    auto engine = PlanningEngine::Create({}, &expert_, &channel_, &clock_, &metrics_);
    EXPECT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
  }

  void Open(bool run_controller = true) {
    SessionOptions options;
    options.planning_rate_hz = 20.0;
    options.reasoning_rate_hz = 2.0;
    options.run_controller = run_controller;
    ASSERT_TRUE(engine_->OpenSession("car", "", options).ok());
    Publish();
  }
  // Publishes a context, which serves the whole second, and waits until it is there.
  void Publish() {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!channel_.attached() && std::chrono::steady_clock::now() < end) {
      std::this_thread::yield();
    }
    ASSERT_TRUE(channel_.attached());
    channel_.Publish(0);
    while (std::chrono::steady_clock::now() < end) {
      const auto status = engine_->GetSessionStatus("car");
      ASSERT_TRUE(status.ok());
      if (status->latest_capture_us) return;
      std::this_thread::yield();
    }
    FAIL() << "the context is not served";
  }

  std::optional<ControlCommand> Plan(std::size_t step) {
    auto answered = std::make_shared<std::promise<std::optional<ControlCommand>>>();
    PlanCall call;
    call.session = "car";
    call.lease = 1;
    call.sequence = ++sequence_;
    call.observation = SeenAt(static_cast<SessionTimeUs>(sequence_ - 1) * kTick, speed_.at(step));
    call.arrived = clock_.Now();
    engine_->Plan(std::move(call), [answered](const PlanAnswer& answer) {
      EXPECT_TRUE(answer.status.ok()) << answer.status;
      const bool planned = answer.work != nullptr;
      EXPECT_TRUE(planned && !answer.work->result.reasons.Has(Reason::kFallback));
      answered->set_value(planned ? answer.work->result.control : std::nullopt);
    });
    auto answer = answered->get_future();
    if (answer.wait_for(kPatience) == std::future_status::ready) return answer.get();
    ADD_FAILURE() << "no answer";
    return std::nullopt;
  }

  const control::ControlCase case_{"f_control"};
  const std::vector<double> speed_ = case_.Input<double>("speed");
  ManualClock clock_;
  CaseExpert expert_{case_.Trajectories()};
  context::FakeSnapshotChannel channel_;
  PlanningMetrics metrics_;
  uint64_t sequence_ = 0;
  std::unique_ptr<PlanningEngine> engine_;
};

TEST_F(GoldenSessionController, TwentyTicksOfASessionGiveTheReferencesCommands) {
  Open();
  const auto steer = case_.Expected<double>("steer");
  const auto throttle = case_.Expected<double>("throttle");
  const auto brake = case_.Expected<double>("brake");
  ASSERT_EQ(speed_.size(), 20U);
  for (std::size_t i = 0; i < speed_.size(); ++i) {
    // The reference applies its speed limit after the controller; a session's controller has it.
    const ControlCommand expected = control::LimitSpeed(
        {.steer = steer[i], .throttle = throttle[i], .brake = brake[i]}, speed_[i]);
    const std::optional<ControlCommand> actual = Plan(i);
    ASSERT_TRUE(actual.has_value()) << "tick " << i;
    EXPECT_NEAR(actual->steer, expected.steer, control::kSteerTolerance) << "tick " << i;
    EXPECT_NEAR(actual->throttle, expected.throttle, control::kThrottleTolerance) << "tick " << i;
    EXPECT_EQ(actual->brake, expected.brake) << "tick " << i;
  }
}

TEST_F(GoldenSessionController, ASessionWithoutControllerAnswersNoCommand) {
  Open(/*run_controller=*/false);
  EXPECT_FALSE(Plan(0).has_value());
}

}  // namespace
}  // namespace automot::planning
