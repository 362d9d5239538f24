// A simulator's rollout over its own contract is recorded in the native form, and replays.
#include <unistd.h>

#include <filesystem>

#include "services/planning/recording/plan_recording.h"
#include "tests/fakes/sensitive_action_expert.h"
#include "tests/integration/egodriver/egodriver_fixture.h"
#include "tools/replay/recording_replay.h"

namespace automot::egodriver {
namespace {

class EgodriverRecordingTest : public EgodriverServiceTest {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("egodriver-recording-" + std::to_string(::getpid()));
    std::filesystem::remove_all(folder_);
    for (planning::SensitiveExpert* each : {&sensitive_, &replaying_}) {
      each->fake().mutable_info().model_revision = kRevision;
      each->fake().mutable_info().target_point_rule = "route_distance:8,20";
    }
    v1::RecordingStart start;
    start.set_model_revision(kRevision);
    auto recording = planning::PlanRecording::Start({.folder = folder_}, start, &clock_);
    ASSERT_TRUE(recording.ok()) << recording.status();
    recording_ = *std::move(recording);
    recorder_ = recording_.get();
    Serve({});
  }
  void TearDown() override {
    Stop();
    std::filesystem::remove_all(folder_);
  }
  planning::ActionExpert* expert() override { return &sensitive_; }

  std::string folder_;
  planning::SensitiveExpert sensitive_, replaying_;
  std::unique_ptr<planning::PlanRecording> recording_;
};

TEST_F(EgodriverRecordingTest, ARolloutOfReprojectedPicturesReplays) {
  Simulator simulator = MakeSimulator("rollout");
  Simulator::ExpectOk(simulator.Start());
  for (uint64_t time = 0; time <= 2'000'000; time += 100'000) {
    wire::DriveResponse response;
    simulator.Step(time, &response);
    ExpectPlan(response, time);
  }
  Simulator::ExpectOk(simulator.Close());
  Stop();
  recording_.reset();

  auto reader = tools::EntryReader::Open(folder_);
  ASSERT_TRUE(reader.ok()) << reader.status();
  const auto index = tools::IndexRecording(*reader);
  ASSERT_TRUE(index.ok()) << index.status();
  const auto report = tools::ReplayRecording(*reader, *index, &replaying_, {});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->plans, 21U);
  EXPECT_EQ(report->differences, 0U)
      << report->first->field << ": " << report->first->recorded << ", " << report->first->replayed;
  EXPECT_GE(report->snapshots, 4U);
}

}  // namespace
}  // namespace automot::egodriver
