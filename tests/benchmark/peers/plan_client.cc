// One vehicle through the C++ client: automot-peers-client ADDRESS small|raw. It speaks the
// protocol of client.py: each line of standard input is a number of seconds to work, each answer a
// line of JSON.
#include <chrono>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/planner_client.h"
#include "common/rpc/snapshot_transport.h"
#include "nlohmann/json.hpp"

namespace {

using Clock = std::chrono::steady_clock;
using automot::client::PlannerClient;
using automot::client::PlannerSession;
namespace wire = automot::v1;

// The payloads of payloads.py: sizes and kinds, not the same noise.
constexpr int kBevChannels = 756, kCameraWidth = 1024, kCameraHeight = 512, kLidarBins = 256;

double Seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

int64_t NowUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now().time_since_epoch())
      .count();
}

std::string Noise(std::size_t bytes, int below) {
  std::mt19937 random(20261);  // NOLINT(cert-msc51-cpp): every run sends the same
  std::string noise(bytes, '\0');
  for (char& byte : noise) byte = static_cast<char>(random() % static_cast<unsigned>(below));
  return noise;
}

wire::Observation MakeObservation(bool raw) {
  wire::Observation observation;
  observation.mutable_ego_state()->set_speed_mps(8.0);
  auto* target = observation.mutable_route_target();
  target->mutable_current_target_point()->set_x(8.0);
  target->mutable_next_target_point()->set_x(20.0);
  target->set_route_revision(1);
  if (raw) {
    auto* image = observation.add_camera_images();
    image->set_encoding(wire::IMAGE_ENCODING_RAW_RGB);
    image->set_width(kCameraWidth);
    image->set_height(kCameraHeight);
    image->set_data(Noise(std::size_t{3} * kCameraWidth * kCameraHeight, 256));
    observation.mutable_lidar()->mutable_histogram()->set_counts(Noise(kLidarBins * kLidarBins, 6));
  } else {
    const std::vector<float> values(std::size_t{kBevChannels} * 64, 0.5F);
    observation.mutable_bev_feature()->set_channels(kBevChannels);
    observation.mutable_bev_feature()->set_values(reinterpret_cast<const char*>(values.data()),
                                                  values.size() * sizeof(float));
  }
  return observation;
}

absl::Status Step(PlannerSession& session, wire::Observation& observation,
                  std::vector<double>* seconds) {
  const int64_t now_us = NowUs();
  observation.set_capture_time_us(now_us);
  for (auto& image : *observation.mutable_camera_images()) image.set_capture_time_us(now_us);
  const Clock::time_point began = Clock::now();
  const auto answer = session.Plan(observation);
  if (!answer.ok()) return answer.status();
  seconds->push_back(Seconds(Clock::now() - began));
  if (answer->session() == session.name() && answer->trajectory().route_size() > 0) return {};
  return absl::InternalError("not an answer to this vehicle");
}

absl::Status Work(PlannerSession& session, wire::Observation& observation, double limit_s) {
  std::vector<double> seconds;
  int failed = 0;
  const Clock::time_point began = Clock::now();
  while (Seconds(Clock::now() - began) < limit_s) {
    const absl::Status status = Step(session, observation, &seconds);
    if (absl::IsResourceExhausted(status)) {
      ++failed;
    } else if (!status.ok()) {
      return status;
    }
  }
  const double wall_s = Seconds(Clock::now() - began);
  std::cout << nlohmann::json{{"seconds", seconds}, {"failed", failed}, {"wall_s", wall_s}}
            << std::endl;
  return absl::OkStatus();
}

absl::Status Serve(const std::string& address, bool raw) {
  const auto client = PlannerClient::Connect({.address = address});
  if (!client.ok()) return client.status();
  wire::SessionOptions options;
  options.set_planning_rate_hz(20.0);
  options.set_reasoning_rate_hz(2.0);
  auto session = (*client)->OpenSession("peers-cc-" + std::to_string(NowUs()), options);
  if (!session.ok()) return session.status();
  wire::Observation observation = MakeObservation(raw);
  std::vector<double> first;
  absl::Status status = Step(**session, observation, &first);
  std::cout << R"({"ready": true})" << std::endl;
  double limit_s = 0.0;
  while (status.ok() && std::cin >> limit_s) status = Work(**session, observation, limit_s);
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: automot-peers-client ADDRESS small|raw\n";
    return 2;
  }
  automot::rpc::PrepareProcessForSnapshots();  // observations of this size gain by it too
  const absl::Status status = Serve(argv[1], std::string(argv[2]) == "raw");
  if (!status.ok()) std::cerr << status << '\n';
  return status.ok() ? 0 : 1;
}
