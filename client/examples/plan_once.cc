// One plan from one picture: opens a session, plans a tick, prints the trajectory.
//   automot-plan-once ADDRESS FRONT.jpg
// The picture has the size of the checkpoint's front camera.
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/planner_client.h"

namespace v1 = automot::v1;
using automot::client::PlannerClient;

namespace {

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::InvalidArgumentError(absl::StrCat("cannot read '", path, "'"));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// [readme-begin]
v1::SessionOptions CarOptions() {
  v1::SessionOptions options;
  options.set_planning_rate_hz(20);
  options.set_reasoning_rate_hz(2);
  options.set_time_mode(v1::TIME_MODE_STEPPED);  // the plan waits for its context, parked
  options.set_on_missing_modality(v1::ON_MISSING_MODALITY_FLAG);  // this car has no LiDAR
  options.set_run_controller(true);
  return options;
}

v1::Observation See(const std::string& jpeg) {
  v1::Observation seen;
  seen.set_capture_time_us(0);
  v1::CameraImage* camera = seen.add_camera_images();
  camera->set_capture_time_us(0);
  camera->set_data(jpeg);
  seen.mutable_ego_state()->set_speed_mps(4.0);
  v1::RouteTarget* target = seen.mutable_route_target();  // ego frame: x forward, y RIGHT, metres
  target->mutable_current_target_point()->set_x(8.0);
  target->mutable_next_target_point()->set_x(20.0);
  return seen;
}

absl::Status PlanOnce(const std::string& address, const std::string& jpeg) {
  PlannerClient::Options options;
  options.address = address;
  options.plan_timeout = absl::Seconds(10);
  auto client = PlannerClient::Connect(options);
  if (!client.ok()) return client.status();
  auto session = (*client)->OpenSession("car-1", CarOptions());
  if (!session.ok()) return session.status();
  auto plan = (*session)->Plan(See(jpeg));
  if (!plan.ok()) return plan.status();
  for (const v1::Waypoint& waypoint : plan->trajectory().waypoints()) {
    std::printf("%.1f s: x %.2f m, y %.2f m\n", waypoint.time_offset_us() * 1e-6,
                waypoint.position().x(), waypoint.position().y());
  }
  for (const int reason : plan->provenance().reasons()) {
    std::printf("%s\n", v1::Reason_Name(static_cast<v1::Reason>(reason)).c_str());
  }
  return absl::OkStatus();
}
// [readme-end]

int Run(const std::string& address, const std::string& picture) {
  const auto jpeg = ReadFile(picture);
  const absl::Status status = jpeg.ok() ? PlanOnce(address, *jpeg) : jpeg.status();
  if (status.ok()) return 0;
  std::fprintf(stderr, "automot-plan-once: %s\n", status.ToString().c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: automot-plan-once ADDRESS FRONT.jpg\n");
    return 2;
  }
  return Run(argv[1], argv[2]);
}
