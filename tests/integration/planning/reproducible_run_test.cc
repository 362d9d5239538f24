// The same run twice, on an idle and on a loaded machine, gives the same answers bit for bit; and a
// recorded one is done again by automot-replay.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "automot/v1/recording.pb.h"
#include "common/recording/record_file.h"
#include "tests/integration/planning/process_fixture.h"
#include "tests/support/run_program.h"
#include "tests/support/test_folder.h"

namespace automot {
namespace {

using ::testing::HasSubstr;

// Keeps every core busy while it lives.
class BusyMachine {
 public:
  BusyMachine() {
    const unsigned threads = 2 * std::max(1U, std::thread::hardware_concurrency());
    for (unsigned i = 0; i < threads; ++i) {
      threads_.emplace_back([this] {
        uint64_t value = 1;
        while (!stop_.load(std::memory_order_relaxed)) value = value * 6364136223846793005U + 1;
        sink_.fetch_add(value, std::memory_order_relaxed);
      });
    }
  }
  ~BusyMachine() {
    stop_.store(true);
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> sink_{0};
  std::vector<std::thread> threads_;
};

class ReproducibleRunTest : public ::testing::Test {
 protected:
  static std::vector<std::string> Arguments(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments =
        ProgramArguments({"--planning-address", "127.0.0.1:0", "--reasoning-address", "127.0.0.1:0",
                          "--reproducible", "--log-level", "warning"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  // What a run's answers are, but for wall times and the epoch, which is of the calendar.
  static std::vector<std::string> Drive(v1::TimeMode mode, const std::vector<std::string>& flags) {
    support::RunningProgram program("automot-serve", Arguments(flags));
    const std::string address = program.ReadAddress("planning");
    EXPECT_NE(address, "") << program.Errors();
    if (address.empty()) return {};
    std::vector<std::string> answers;
    {
      DrivenCar car(address, mode);
      for (int64_t time = 0; time < kTicks * 50'000; time += 50'000) {
        v1::PlanResponse answer = car.PlanAt(time);
        answer.mutable_provenance()->clear_timing();
        answer.mutable_provenance()->mutable_snapshot()->clear_epoch();
        answers.push_back(answer.SerializeAsString());
        if (time == 0) {
          EXPECT_TRUE(car.WaitForSnapshots(1));
        }
      }
    }
    program.Signal(SIGTERM);
    EXPECT_EQ(program.Wait(), 0) << program.Errors();
    return answers;
  }

  static void ExpectTheSameUnderLoad(v1::TimeMode mode) {
    const std::vector<std::string> idle = Drive(mode, {});
    ASSERT_EQ(idle.size(), static_cast<size_t>(kTicks));
    EXPECT_NE(idle.front(), idle.back());
    std::vector<std::string> loaded;
    {
      const BusyMachine busy;
      loaded = Drive(mode, {});
    }
    ASSERT_EQ(loaded.size(), idle.size());
    for (size_t i = 0; i < idle.size(); ++i) EXPECT_EQ(loaded[i], idle[i]) << "tick " << i;
  }

  support::ProgramResult Replay(const std::string& checkpoint = kTinyCheckpoint) const {
    return support::RunProgram("automot-replay", {folder_, "--checkpoint", checkpoint});
  }

  static constexpr int kTicks = 40;
  const support::TestFolder test_folder_;
  const std::string folder_ = test_folder_.path();
};

TEST_F(ReproducibleRunTest, LockstepIsTheSameOnALoadedMachine) {
  ExpectTheSameUnderLoad(v1::TIME_MODE_LOCKSTEP);
}

TEST_F(ReproducibleRunTest, SteppedIsTheSameOnALoadedMachine) {
  ExpectTheSameUnderLoad(v1::TIME_MODE_STEPPED);
}

TEST_F(ReproducibleRunTest, ARecordedRealtimeRunReplaysWithoutADifference) {
  {
    const BusyMachine busy;  // so that timing decides which snapshot a plan finds
    ASSERT_EQ(Drive(v1::TIME_MODE_REALTIME, {"--record", folder_}).size(),
              static_cast<size_t>(kTicks));
  }
  const support::ProgramResult replay = Replay();
  EXPECT_EQ(replay.exit_code, 0) << replay.out << replay.err;
  EXPECT_THAT(replay.out, HasSubstr("replayed 40 plans of 1 sessions"));
  EXPECT_THAT(replay.out, HasSubstr(": 0 differences"));
}

// Over a lane between processes, quantised, with a producer that dies and comes back.
TEST_F(ReproducibleRunTest, ARecordedRunOfTwoProcessesReplaysThroughAnOutage) {
  const auto reasoning_on = [](const std::string& address) {
    return std::make_unique<support::RunningProgram>(
        "automot-reasoning",
        ProgramArguments({"--address", address, "--drain-seconds", "0", "--log-level", "error"}));
  };
  auto reasoning = reasoning_on("127.0.0.1:0");
  const std::string producer = reasoning->ReadAddress("reasoning");
  ASSERT_NE(producer, "") << reasoning->Errors();
  support::RunningProgram planning(
      "automot-planning", ProgramArguments({"--address", "127.0.0.1:0", "--reasoning-address",
                                            producer, "--record", folder_, "--reproducible",
                                            "--context-dtype", "int8", "--log-level", "error"}));
  const std::string address = planning.ReadAddress("planning");
  ASSERT_NE(address, "") << planning.Errors();
  {
    DrivenCar car(address, v1::TIME_MODE_REALTIME);
    car.PlanAt(0);
    ASSERT_TRUE(car.WaitForSnapshots(1));
    for (int64_t time = 50'000; time < 600'000; time += 50'000) car.PlanAt(time);
    reasoning->Signal(SIGKILL);
    reasoning->Wait();
    for (int64_t time = 600'000; time < 2'500'000; time += 50'000) car.PlanAt(time);
    const uint64_t published = car.session().GetStatus()->snapshots_published();
    reasoning = reasoning_on(producer);
    ASSERT_EQ(reasoning->ReadAddress("reasoning"), producer) << reasoning->Errors();
    ASSERT_TRUE(car.WaitFor([](const auto& s) { return s.link_state() == v1::LINK_STATE_UP; }));
    car.PlanAt(2'500'000);
    ASSERT_TRUE(car.WaitForSnapshots(published + 1));
    for (int64_t time = 2'550'000; time < 4'000'000; time += 50'000) car.PlanAt(time);
  }
  planning.Signal(SIGTERM);
  EXPECT_EQ(planning.Wait(), 0) << planning.Errors();
  const support::ProgramResult replay = Replay();
  EXPECT_EQ(replay.exit_code, 0) << replay.out << replay.err;
  EXPECT_THAT(replay.out, HasSubstr("replayed 80 plans of 1 sessions"));
}

TEST_F(ReproducibleRunTest, ARecordedSteppedRunReplaysWithoutADifference) {
  Drive(v1::TIME_MODE_STEPPED, {"--record", folder_});
  const support::ProgramResult replay = Replay();
  EXPECT_EQ(replay.exit_code, 0) << replay.out << replay.err;
  EXPECT_THAT(replay.out, HasSubstr("on 4 snapshots: 0 differences"));
}

// Writes the recording anew, with `edit` done to every entry.
template <typename Edit>
void Rewrite(const std::string& folder, const Edit& edit) {
  const std::string path = folder + "/run-0001/0001.rec";
  auto reader = recording::RecordFileReader::Open(path);
  ASSERT_TRUE(reader.ok()) << reader.status();
  auto writer = recording::RecordFileWriter::Create(path + ".new");
  ASSERT_TRUE(writer.ok()) << writer.status();
  std::string record;
  while (reader->Next(&record) == recording::RecordFileReader::Outcome::kRecord) {
    v1::RecordingEntry entry;
    ASSERT_TRUE(entry.ParseFromString(record));
    edit(&entry);
    ASSERT_TRUE(writer->Append(entry.SerializeAsString()).ok());
  }
  ASSERT_TRUE(writer->Flush().ok());
  std::filesystem::rename(path + ".new", path);
}

TEST_F(ReproducibleRunTest, ATamperedRecordingIsNamedByItsFirstDifference) {
  Drive(v1::TIME_MODE_STEPPED, {"--record", folder_});
  Rewrite(folder_, [](v1::RecordingEntry* entry) {
    if (!entry->has_plan_ended() || entry->plan_ended().sequence() < 30) return;
    v1::Vec2* point =
        entry->mutable_plan_ended()->mutable_response()->mutable_trajectory()->mutable_route(7);
    point->set_x(point->x() + 1.0);
  });
  const support::ProgramResult replay = Replay();
  EXPECT_EQ(replay.exit_code, 1) << replay.out << replay.err;
  EXPECT_THAT(replay.out, HasSubstr("session 'car', sequence 30, field trajectory.route[7].x"));
  EXPECT_THAT(replay.out, HasSubstr(": 11 differences"));
}

TEST_F(ReproducibleRunTest, AnotherObservationIsADifference) {
  Drive(v1::TIME_MODE_STEPPED, {"--record", folder_});
  Rewrite(folder_, [](v1::RecordingEntry* entry) {
    if (!entry->has_plan_taken() || entry->plan_taken().request().sequence() != 20) return;
    entry->mutable_plan_taken()
        ->mutable_request()
        ->mutable_observation()
        ->mutable_ego_state()
        ->set_speed_mps(9.0);
  });
  const support::ProgramResult replay = Replay();
  EXPECT_EQ(replay.exit_code, 1) << replay.out << replay.err;
  EXPECT_THAT(replay.out, HasSubstr("sequence 20, field trajectory"));
}

TEST_F(ReproducibleRunTest, ADamagedRecordingIsSaidToBeOne) {
  Drive(v1::TIME_MODE_STEPPED, {"--record", folder_});
  const std::string path = folder_ + "/run-0001/0001.rec";
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(std::filesystem::file_size(path) / 2));
  file.put('\x5a').put('\xa5').put('\x5a');
  file.close();
  const support::ProgramResult replay = Replay();
  EXPECT_EQ(replay.exit_code, 1) << replay.out << replay.err;
  EXPECT_THAT(replay.out, HasSubstr("damaged: "));
  EXPECT_THAT(replay.out, HasSubstr(": 0 differences"));
}

TEST_F(ReproducibleRunTest, AnotherCheckpointIsTheDifference) {
  Drive(v1::TIME_MODE_STEPPED, {"--record", folder_});
  const std::string other = folder_ + "/checkpoint";
  const support::ProgramResult made =
      support::RunProgram("automot-make-checkpoint", {"--preset", "nano", "--out", other});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const support::ProgramResult replay = Replay(other);
  EXPECT_EQ(replay.exit_code, 1) << replay.out << replay.err;
  EXPECT_THAT(replay.out, HasSubstr("field model_revision: recorded "));
}

}  // namespace
}  // namespace automot
