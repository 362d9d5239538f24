// The synthetic server as a process, and small vehicles for it.
#pragma once

#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/running_program.h"
#include "tools/loadgen/load_run.h"

namespace automot::loadgen {

class SyntheticServer {
 public:
  explicit SyntheticServer(std::vector<std::string> more = {}) : more_(std::move(more)) { Start(); }

  const std::string& address() const { return address_; }
  // Dies without a word and comes back, knowing nothing, under its address.
  void KillAndRestart() {
    program_->Signal(SIGKILL);
    EXPECT_EQ(program_->Wait(), -SIGKILL);
    Start();
  }
  // Its end, orderly.
  int Stop() {
    program_->Signal(SIGTERM);
    return program_->Wait();
  }

 private:
  void Start() {
    std::vector<std::string> arguments = {"--address",
                                          address_,
                                          "--metrics-address",
                                          "127.0.0.1:0",
                                          "--camera-width",
                                          "64",
                                          "--camera-height",
                                          "32",
                                          "--bev-channels",
                                          "8",
                                          "--context-kib",
                                          "16",
                                          "--snapshot-memory-gib",
                                          "0.25",
                                          "--log-level",
                                          "error"};
    arguments.insert(arguments.end(), more_.begin(), more_.end());
    program_ = std::make_unique<support::RunningProgram>("automot-synthetic-server", arguments);
    address_ = program_->ReadAddress("planning");
    ASSERT_NE(address_, "") << program_->Errors();
  }

  const std::vector<std::string> more_;
  std::string address_ = "127.0.0.1:0";
  std::unique_ptr<support::RunningProgram> program_;
};

// Small and frequent: what is looked for does not depend on sizes.
inline LoadOptions SmallLoad(const std::string& address) {
  LoadOptions options;
  options.target.addresses = {address};
  options.target.credentials = grpc::InsecureChannelCredentials();
  options.vehicles = 16;
  options.rates_hz = {20.0, 10.0};
  options.payloads = {PayloadKind::kBev, PayloadKind::kJpeg, PayloadKind::kRaw};
  options.payload.camera_width = 64;
  options.payload.camera_height = 32;
  options.payload.bev_channels = 8;
  options.warm_up = absl::ZeroDuration();
  options.measured = absl::Minutes(9);  // ends by its requests
  options.deadline = absl::Seconds(5);
  options.session.set_reasoning_rate_hz(5.0);
  options.session.set_time_mode(automot::v1::TIME_MODE_REALTIME);
  options.session.set_on_missing_modality(automot::v1::ON_MISSING_MODALITY_FLAG);
  options.name_prefix = "test";
  return options;
}

inline ChaosOptions EveryAct(double rate) {
  return {.acts = {kChaosActs.begin(), kChaosActs.end()}, .rate = rate, .seed = 11};
}

}  // namespace automot::loadgen
