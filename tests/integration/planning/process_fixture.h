// The programs on the tiny checkpoint, and a vehicle that is driven with the client library.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "client/planner_client.h"
#include "tests/support/running_program.h"

namespace automot {

inline constexpr char kTinyCheckpoint[] = AUTOMOT_SOURCE_DIR "/tests/golden/data/tiny";

inline std::vector<std::string> ProgramArguments(const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"--checkpoint", kTinyCheckpoint, "--metrics-address",
                                        "127.0.0.1:0"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

inline bool Has(const v1::PlanResponse& answer, v1::Reason reason) {
  const auto& reasons = answer.provenance().reasons();
  return std::find(reasons.begin(), reasons.end(), reason) != reasons.end();
}

// A vehicle of constant speed in front of one picture. Session time is the test's.
class DrivenCar {
 public:
  DrivenCar(const std::string& address, v1::TimeMode mode) {
    client::PlannerClient::Options options;
    options.address = address;
    // What waits for a peer that is stopped waits for ever, so this tells waiting from planning.
    options.plan_timeout = absl::Seconds(8);
    auto client = client::PlannerClient::Connect(options);
    EXPECT_TRUE(client.ok()) << client.status();
    client_ = *std::move(client);
    const auto status = client_->GetStatus();
    EXPECT_TRUE(status.ok()) << status.status();
    width_ = status->camera_width();
    height_ = status->camera_height();
    v1::SessionOptions session;
    session.set_planning_rate_hz(20.0);
    session.set_reasoning_rate_hz(2.0);
    session.set_time_mode(mode);
    session.set_run_controller(true);
    auto opened = client_->OpenSession("car", session);
    EXPECT_TRUE(opened.ok()) << opened.status();
    session_ = *std::move(opened);
  }

  client::PlannerSession& session() { return *session_; }
  int64_t time_us() const { return time_us_; }

  v1::Observation SeenAt(int64_t time_us) const {
    v1::Observation seen;
    seen.set_capture_time_us(time_us);
    v1::CameraImage* image = seen.add_camera_images();
    image->set_capture_time_us(time_us);
    image->set_encoding(v1::IMAGE_ENCODING_RAW_RGB);
    image->set_width(width_);
    image->set_height(height_);
    image->set_data(std::string(size_t{width_} * height_ * 3, '\x60'));
    seen.mutable_lidar();
    seen.mutable_ego_state()->set_speed_mps(5.0);
    seen.mutable_ego_state()->mutable_pose()->mutable_position()->set_x(
        5e-6 * static_cast<double>(time_us));
    seen.mutable_route_target()->mutable_current_target_point()->set_x(10.0);
    seen.mutable_route_target()->mutable_next_target_point()->set_x(20.0);
    return seen;
  }
  // One tick at `time_us`; a failure fails the test and is counted.
  v1::PlanResponse PlanAt(int64_t time_us) {
    time_us_ = time_us;
    auto answer = session_->Plan(SeenAt(time_us));
    EXPECT_TRUE(answer.ok()) << answer.status();
    ++ticks_;
    return answer.ok() ? *std::move(answer) : v1::PlanResponse();
  }
  uint64_t ticks() const { return ticks_; }

  // Asks until it is so; false after two minutes.
  bool WaitFor(const std::function<bool(const v1::GetSessionStatusResponse&)>& so) {
    const absl::Time end = absl::Now() + absl::Minutes(2);
    while (absl::Now() < end) {
      const auto status = session_->GetStatus();
      if (status.ok() && so(*status)) return true;
    }
    return false;
  }
  bool WaitForSnapshots(uint64_t count) {
    return WaitFor([count](const auto& status) { return status.snapshots_published() >= count; });
  }

 private:
  std::unique_ptr<client::PlannerClient> client_;
  std::unique_ptr<client::PlannerSession> session_;
  uint32_t width_ = 0, height_ = 0;
  int64_t time_us_ = 0;
  uint64_t ticks_ = 0;
};

}  // namespace automot
