// A planning engine that records, on an expert whose answers depend on all that it is given.
#pragma once

#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "services/planning/recording/plan_recording.h"
#include "tests/fakes/sensitive_action_expert.h"
#include "tests/unit/common/context/snapshot_fixture.h"
#include "tests/unit/services/planning/engine_fixture.h"
#include "tools/recording/recording_index.h"
#include "tools/replay/recording_replay.h"

namespace automot::planning {

class RecordedEngineTest : public EngineTest {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    options_.folder = std::filesystem::temp_directory_path() /
                      (std::string(test->name()) + "-" + std::to_string(::getpid()));
    std::filesystem::remove_all(options_.folder);
    StartRecording();
  }
  void TearDown() override {
    gate_.Open();
    StopRecording();
    std::filesystem::remove_all(options_.folder);
  }

  void StartRecording() {
    StopRecording();
    std::filesystem::remove_all(options_.folder);
    v1::RecordingStart start;
    start.set_model_revision("revision");
    start.set_retained_versions(PlanningEngineOptions().retained_versions);
    auto recording = PlanRecording::Start(options_, start, &clock_);
    ASSERT_TRUE(recording.ok()) << recording.status();
    recording_ = *std::move(recording);
    auto engine = PlanningEngine::Create(engine_options_, &sensitive_, &channel_, &clock_,
                                         &metrics_, recording_.get());
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
  }
  void StopRecording() {
    engine_.reset();
    recording_.reset();
  }

  // The next version of session `name`, with keys and values of its own.
  bool Publish(SessionTimeUs capture_us, const std::string& name = "car") {
    return channel_.Publish(
        capture_us,
        [&](context::ContextSnapshot& snapshot) {
          const SnapshotId id = snapshot.header.id;
          const context::SnapshotPtr small = context::SmallSnapshot(++seed_);
          snapshot.header = small->header;
          snapshot.header.id = id;
          snapshot.header.capture_time_us = capture_us;
          snapshot.header.frame_capture_times_us = {capture_us};
          snapshot.kv = context::KvBuffer::Allocate(snapshot.header.layout).value();
          std::memcpy(snapshot.kv.Tensor(0, context::TensorKind::kKey).data(),
                      small->kv.bytes().data(), 1000);
          snapshot.decision = small->decision;
        },
        name);
  }

  // Ends the recording and does it again.
  tools::ReplayReport Replay(const tools::ReplayOptions& options = {}) {
    StopRecording();
    auto reader = tools::EntryReader::Open(options_.folder);
    EXPECT_TRUE(reader.ok()) << reader.status();
    auto index = tools::IndexRecording(*reader);
    EXPECT_TRUE(index.ok()) << index.status();
    tail_ = index->tail;
    auto report = tools::ReplayRecording(*reader, *index, &replaying_, options);
    EXPECT_TRUE(report.ok()) << report.status();
    if (report->first) {
      said_ = report->first->session + " " + std::to_string(report->first->sequence) + " " +
              report->first->field + ": " + report->first->recorded + ", " +
              report->first->replayed;
    }
    return *std::move(report);
  }

  PlanRecording::Options options_;
  PlanningEngineOptions engine_options_;
  SensitiveExpert sensitive_;
  SensitiveExpert replaying_;
  std::unique_ptr<PlanRecording> recording_;
  uint64_t seed_ = 0;
  tools::RecordingTail tail_;
  std::string said_;  // the first difference
};

}  // namespace automot::planning
