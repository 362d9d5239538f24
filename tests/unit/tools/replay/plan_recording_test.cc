// The recorder: bounded, never in the way, and honest about what it left out.
#include "services/planning/recording/plan_recording.h"

#include "services/planning/handlers/session_conversion.h"
#include "tests/unit/tools/replay/recorded_engine.h"

namespace automot::planning {
namespace {

using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::SizeIs;

class PlanRecordingTest : public RecordedEngineTest {
 protected:
  // Every entry, by its oneof's name.
  std::vector<v1::RecordingEntry> Entries() {
    auto reader = tools::EntryReader::Open(options_.folder);
    EXPECT_TRUE(reader.ok()) << reader.status();
    std::vector<v1::RecordingEntry> entries;
    tools::EntryPlace place;
    for (;;) {
      auto entry = reader->Next(&place);
      EXPECT_TRUE(entry.ok()) << entry.status();
      if (!entry.ok() || !*entry) return entries;
      entries.push_back(**std::move(entry));
    }
  }
  void Drive(int plans) {
    Open();
    EXPECT_TRUE(Publish(0));
    for (int i = 0; i < plans; ++i) PlanAt(i * 50'000);
  }
};

TEST_F(PlanRecordingTest, HoldsWhatWasAskedAnsweredAndUsed) {
  Drive(1);
  StopRecording();
  std::vector<int> kinds;
  for (const v1::RecordingEntry& entry : Entries()) {
    if (!entry.has_snapshot_chunk()) kinds.push_back(entry.what_case());
  }
  using Entry = v1::RecordingEntry;
  EXPECT_THAT(kinds, ElementsAre(Entry::kStart, Entry::kSessionOpened, Entry::kProducerAttached,
                                 Entry::kSnapshotHeader, Entry::kSnapshotTrailer, Entry::kPlanTaken,
                                 Entry::kPlanEnded, Entry::kSessionClosed, Entry::kEnd));
}

TEST_F(PlanRecordingTest, KeepsTheRequestAsItCame) {
  Open();
  PlanCall call = CallAt(0);
  v1::PlanRequest request;
  request.set_session("car");
  request.set_lease(1);
  request.set_sequence(1);
  request.mutable_observation()->add_camera_images()->set_data("as it came");
  call.encoded = std::make_shared<const std::string>(request.SerializeAsString());
  EXPECT_TRUE(engine_->wants_requests());
  Plan(std::move(call));
  StopRecording();
  for (const v1::RecordingEntry& entry : Entries()) {
    if (entry.has_plan_taken()) {
      EXPECT_EQ(entry.plan_taken().request().SerializeAsString(), request.SerializeAsString());
    }
  }
}

TEST_F(PlanRecordingTest, AFullQueueEndsTheSessionsRecordsAndNothingElse) {
  options_.queue_bytes = 4000;  // less than a plan's picture and the rest take, sooner or later
  StartRecording();
  Open();
  PlanCall large = CallAt(0);
  large.encoded = std::make_shared<const std::string>(std::string(8000, 'x'));
  EXPECT_TRUE(Plan(std::move(large)).status.ok());
  EXPECT_TRUE(PlanAt(100'000).status.ok());
  EXPECT_THAT(recording_->stats().dropped, Gt(1U)) << "all that follows is dropped too";
  const tools::ReplayReport report = Replay();
  EXPECT_EQ(report.differences, 0U) << said_;
  ASSERT_THAT(report.not_replayed, SizeIs(1));
  EXPECT_EQ(report.not_replayed[0].why, "its records end early: queue_full");
}

TEST_F(PlanRecordingTest, TheBudgetEndsTheRecordingAndServingGoesOn) {
  options_.files.total_bytes = uint64_t{3} << 20;
  StartRecording();
  Drive(2);
  for (SessionTimeUs time = 100'000; time <= 1'500'000; time += 100'000) {
    ASSERT_TRUE(Publish(time));
    EXPECT_TRUE(PlanAt(time).status.ok());
  }
  StopRecording();
  uint64_t bytes = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(options_.folder)) {
    if (file.is_regular_file()) bytes += file.file_size();
  }
  EXPECT_LE(bytes, options_.files.total_bytes);
  const auto entries = Entries();
  ASSERT_FALSE(entries.empty());
  EXPECT_EQ(entries.back().records_dropped().reason(), "budget");
}

TEST_F(PlanRecordingTest, SnapshotsThatComeFasterThanTheyAreWrittenLoseTheirPayload) {
  options_.snapshot_bytes = 1;
  StartRecording();
  Open();
  SessionTimeUs time = 0;
  while (recording_->stats().omitted_snapshots == 0 && time < 1'000'000'000) {
    ASSERT_TRUE(Publish(time += 1000));
  }
  const tools::ReplayReport report = Replay();
  EXPECT_EQ(report.differences, 0U) << said_;
}

TEST_F(PlanRecordingTest, SpreadsOverFilesAndIsReadAsOne) {
  options_.files.file_bytes = 100'000;  // a snapshot spreads over several
  StartRecording();
  Drive(5);
  const tools::ReplayReport report = Replay();
  EXPECT_EQ(report.differences, 0U) << said_;
  EXPECT_EQ(report.plans, 5U);
  EXPECT_GT(std::distance(std::filesystem::recursive_directory_iterator(options_.folder), {}), 3);
}

TEST_F(PlanRecordingTest, AKilledRecorderLeavesWhatCameBefore) {
  Drive(5);
  StopRecording();
  const std::string file = options_.folder + "/run-0001/0001.rec";
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 600);
  const tools::ReplayReport report = Replay();
  EXPECT_EQ(tail_.kind, tools::RecordingTail::Kind::kCut);
  EXPECT_EQ(report.differences, 0U) << said_;
  EXPECT_GT(report.plans, 0U);
}

TEST_F(PlanRecordingTest, AFileThatIsMissingIsDamage) {
  options_.files.file_bytes = 100'000;
  StartRecording();
  Drive(5);
  StopRecording();
  std::filesystem::remove(options_.folder + "/run-0001/0002.rec");
  Replay();
  EXPECT_EQ(tail_.kind, tools::RecordingTail::Kind::kDamaged);
}

TEST(SessionOptionsToProto, ComesBackTheSame) {
  SessionOptions options;
  options.planning_rate_hz = 20.0;
  options.reasoning_rate_hz = 3.0;
  options.time_mode = TimeMode::kStepped;
  options.simulated_latency_us = 200'000;
  options.lockstep_ticks = 5;
  options.soft_staleness_us = 1;
  options.hard_staleness_us = 2;
  options.retention_us = 3;
  options.on_expired = OnExpired::kWait;
  options.on_route_change = OnRouteChange::kUse;
  options.on_missing_modality = OnMissingModality::kFlag;
  options.on_no_context = OnNoContext::kReject;
  options.run_controller = true;
  options.required_model_revision = "r";
  v1::SessionOptions proto;
  SessionOptionsToProto(options, &proto);
  const auto back = SessionOptionsFromProto(proto);
  ASSERT_TRUE(back.ok()) << back.status();
  v1::SessionOptions again;
  SessionOptionsToProto(*back, &again);
  EXPECT_EQ(again.SerializeAsString(), proto.SerializeAsString());
  EXPECT_EQ(back->on_expired, OnExpired::kWait);
  EXPECT_EQ(back->on_route_change, OnRouteChange::kUse);
  EXPECT_EQ(back->on_missing_modality, OnMissingModality::kFlag);
  EXPECT_EQ(back->on_no_context, OnNoContext::kReject);
}

}  // namespace
}  // namespace automot::planning
