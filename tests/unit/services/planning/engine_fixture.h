// A planning engine on the fake expert and the fake channel, with a clock that stands still.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "common/time/clock.h"
#include "services/planning/planning_engine.h"
#include "tests/fakes/fake_action_expert.h"
#include "tests/fakes/fake_snapshot_channel.h"
#include "tests/fakes/gate.h"

namespace automot::planning {

// Longer than anything here takes: a hang fails its test.
inline constexpr std::chrono::seconds kPatience{30};

// True once `condition` holds; yields meanwhile.
inline bool Eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::yield();
  }
  return true;
}

// What came back for one plan, copied out of the work.
struct Answer {
  absl::Status status;
  absl::Duration retry_after;
  PlanResult result;
  std::string session;
  uint64_t sequence = 0;
  uint32_t episode = 0;
  SessionTimeUs capture_time_us = 0;
  std::optional<SessionTimeUs> camera_age_us, lidar_age_us;
  bool has_camera = false;
  bool has_lidar = false;

  bool Has(Reason reason) const { return result.reasons.Has(reason); }
  bool IsFallback() const { return Has(Reason::kFallback); }
};

inline Answer CopyAnswer(const PlanAnswer& from) {
  Answer answer{.status = from.status, .retry_after = from.retry_after};
  if (from.work == nullptr) return answer;
  answer.result = from.work->result;
  answer.session = from.work->session->name;
  answer.sequence = from.work->sequence;
  answer.episode = from.work->episode;
  answer.capture_time_us = from.work->capture_time_us;
  answer.camera_age_us = from.work->camera_age_us;
  answer.lidar_age_us = from.work->lidar_age_us;
  answer.has_camera = from.work->camera.image != nullptr;
  answer.has_lidar = from.work->lidar != nullptr;
  return answer;
}

using PendingAnswer = std::future<Answer>;

inline bool IsReady(const PendingAnswer& pending) {
  return pending.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

inline Answer Await(PendingAnswer pending) {
  if (pending.wait_for(kPatience) == std::future_status::ready) return pending.get();
  ADD_FAILURE() << "no answer";
  return {.status = absl::UnknownError("no answer")};
}

inline RgbImage Picture(int width = 8, int height = 4) {
  return {.width = width,
          .height = height,
          .pixels = std::vector<uint8_t>(static_cast<size_t>(width) * height * 3, 17)};
}

inline CameraFrame FrameAt(SessionTimeUs time_us, int width = 8, int height = 4) {
  return {.capture_time_us = time_us,
          .image = std::make_shared<const RgbImage>(Picture(width, height)),
          .was_jpeg = true};
}

// Everything that the fake expert's model needs: camera, a LiDAR that saw nothing, and a pose that
// moves 5 m/s along x.
inline Observation SeenAt(SessionTimeUs time_us) {
  Observation seen;
  seen.capture_time_us = time_us;
  seen.camera_frames = {FrameAt(time_us)};
  seen.lidar.emplace();
  seen.ego.capture_time_us = time_us;
  seen.ego.pose = Pose2{{5e-6 * static_cast<double>(time_us), 0.0}, 0.0};
  seen.ego.speed_mps = 5.0;
  seen.target = {.current = {10.0, 0.0}, .next = {20.0, 0.0}};
  return seen;
}

inline SessionOptions OptionsOf(TimeMode mode) {
  SessionOptions options;
  options.planning_rate_hz = 20.0;
  options.reasoning_rate_hz = 2.0;
  options.time_mode = mode;
  if (mode != TimeMode::kRealtime) options.on_no_context = OnNoContext::kPark;
  return options;
}

struct CountingMetrics final : PlanningMetrics {
  void CountLinkState(context::LinkState state) override {
    if (state == context::LinkState::kDown) ++link_downs;
  }
  void CountRefusal(absl::StatusCode) override { ++refusals; }
  void ObservePlan(const PlanWork&) override { ++plans; }
  std::atomic<int> link_downs{0}, refusals{0}, plans{0};
};

class EngineTest : public ::testing::Test {
 protected:
  void SetUp() override { Start({}); }

  void Start(const PlanningEngineOptions& options) {
    engine_.reset();
    auto engine = PlanningEngine::Create(options, &expert_, &channel_, &clock_, &metrics_);
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
  }

  void TearDown() override {
    gate_.Open();  // a failed test must not leave the planning thread behind it
    engine_.reset();
  }

  // Opens a session; its lease is 1 unless an earlier one has ended.
  OpenedSession Open(const std::string& name, const SessionOptions& options) {
    auto opened = engine_->OpenSession(name, "", options);
    EXPECT_TRUE(opened.ok()) << opened.status();
    if (name == "car" && opened.ok()) car_lease_ = opened->lease;
    return opened.value_or(OpenedSession());
  }
  OpenedSession Open(TimeMode mode = TimeMode::kRealtime) { return Open("car", OptionsOf(mode)); }

  // A call of the session "car", sequences counted by the fixture.
  PlanCall CallAt(SessionTimeUs time_us) {
    PlanCall call;
    call.session = "car";
    call.lease = car_lease_;
    call.sequence = ++sequence_;
    call.observation = SeenAt(time_us);
    call.arrived = clock_.Now();
    return call;
  }

  PendingAnswer Send(PlanCall call) {
    auto promise = std::make_shared<std::promise<Answer>>();
    engine_->Plan(std::move(call),
                  [promise](const PlanAnswer& answer) { promise->set_value(CopyAnswer(answer)); });
    return promise->get_future();
  }
  PendingAnswer SendAt(SessionTimeUs time_us) { return Send(CallAt(time_us)); }
  Answer Plan(PlanCall call) { return Await(Send(std::move(call))); }
  Answer PlanAt(SessionTimeUs time_us) { return Plan(CallAt(time_us)); }

  bool AwaitParked(uint32_t count) {
    return Eventually([&] { return engine_->load().parked == count; });
  }

  // From now on the expert stops at gate_, which stands closed.
  void HoldExpert() {
    gate_.Close();
    expert_.set_gate(&gate_);
  }

  uint64_t car_lease_ = 1;  // of the session "car"
  ManualClock clock_;
  fakes::Gate gate_;
  FakeActionExpert expert_;
  CountingMetrics metrics_;
  context::FakeSnapshotChannel channel_;
  uint64_t sequence_ = 0;
  std::unique_ptr<PlanningEngine> engine_;
};

}  // namespace automot::planning
