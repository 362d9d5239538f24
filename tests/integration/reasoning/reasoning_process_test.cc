// The program on the tiny checkpoint: what it says, and what the lane makes of a process that is
// stopped, killed and ended.
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <iostream>
#include <random>

#include "common/checkpoint/checkpoint.h"
#include "common/context/chunk_hash.h"
#include "services/planning/lane/grpc_snapshot_channel.h"
#include "tests/fakes/recording_receiver.h"
#include "tests/fakes/slow_observations.h"
#include "tests/integration/reasoning/driving_owner.h"
#include "tests/integration/reasoning/recovery_times.h"
#include "tests/support/cutting_proxy.h"
#include "tests/support/running_program.h"

namespace automot {
namespace {

constexpr int kKills = 1000;

bool LongTests() {
  const char* const value = std::getenv("AUTOMOT_LONG_TESTS");
  return value != nullptr && std::string(value) == "1";
}

constexpr char kCheckpoint[] = AUTOMOT_SOURCE_DIR "/tests/golden/data/tiny";

// The program under test.
class Program final : public support::RunningProgram {
 public:
  explicit Program(const std::vector<std::string>& arguments)
      : RunningProgram("automot-reasoning", arguments) {}
};

std::string AddressOf(Program& program) { return program.ReadAddress("reasoning"); }

std::vector<std::string> Arguments(const std::string& address) {
  return {"--checkpoint",      kCheckpoint,   "--address",       address,
          "--metrics-address", "127.0.0.1:0", "--drain-seconds", "0"};
}

// The tiny checkpoint's camera.
context::SlowObservationPtr ObservationAt(SessionTimeUs time) {
  auto observation = fakes::SlowObservationAt(1, time, 0);
  auto frame = std::make_shared<CameraFrame>();
  frame->capture_time_us = time;
  frame->image = std::make_shared<const RgbImage>(
      RgbImage{.width = 128, .height = 96, .pixels = std::vector<uint8_t>(128 * 96 * 3, 90)});
  observation->frames = {std::move(frame)};
  return observation;
}

class ReasoningProcessTest : public ::testing::TestWithParam<context::Lane> {
 protected:
  void StartChannel(const std::string& address) {
    planning::GrpcSnapshotChannelOptions options;
    options.addresses = {address};
    options.lane = GetParam();
    options.ping_interval = absl::Seconds(1);
    options.ping_timeout = absl::Milliseconds(300);
    channel_ = *planning::GrpcSnapshotChannel::Create(options);
  }
  // The owner's part: attach under larger and larger epochs until a link is up, then a snapshot of
  // `time`.
  void ServeOneSnapshot(SessionTimeUs time) {
    const std::size_t before = receiver_.snapshots().size();
    const context::AttachRequest request = {.session = 1,
                                            .episode = 1,
                                            .epoch = ++epoch_,
                                            .session_name = "car",
                                            .model_revision = Revision()};
    ASSERT_TRUE(channel_->Attach(request, &receiver_).ok());
    ASSERT_TRUE(receiver_.WaitForLink(context::LinkState::kUp));
    ASSERT_TRUE(channel_->Submit(ObservationAt(time)).ok());
    ASSERT_TRUE(receiver_.WaitForSnapshots(before + 1));
    const context::SnapshotPtr snapshot = receiver_.snapshots().back();
    EXPECT_EQ(snapshot->header.id.epoch, epoch_);
    EXPECT_EQ(snapshot->header.model_revision, Revision());
    EXPECT_TRUE(snapshot->decision);
  }
  static std::string Revision() {
    static const std::string revision((*model::Checkpoint::Open(kCheckpoint))->revision());
    return revision;
  }

  uint64_t epoch_ = 100;
  fakes::RecordingReceiver receiver_;  // these outlive the channel
  support::CuttingProxy proxy_;
  DrivingOwner owner_{Revision(), ObservationAt};
  std::unique_ptr<planning::GrpcSnapshotChannel> channel_;
};

INSTANTIATE_TEST_SUITE_P(Lanes, ReasoningProcessTest,
                         ::testing::Values(context::Lane::kGrpc, context::Lane::kSharedMemory),
                         [](const auto& lane) { return context::ToString(lane.param); });

// What was computed in another process is read in place, and outlives that process.
TEST_P(ReasoningProcessTest, BytesOutliveTheirProducer) {
  Program program(Arguments("127.0.0.1:0"));
  StartChannel(AddressOf(program));
  ServeOneSnapshot(1'000'000);
  const context::SnapshotPtr held = receiver_.snapshots().back();
  const uint64_t hash = context::HashChunk(held->kv.bytes());
  const bool shared = GetParam() == context::Lane::kSharedMemory;
  EXPECT_EQ(channel_->stats().bytes_copied, shared ? 0U : held->kv.layout().payload_bytes());
  program.Signal(SIGKILL);
  EXPECT_EQ(program.Wait(), -SIGKILL);
  ASSERT_TRUE(receiver_.WaitForLink(context::LinkState::kDown));
  EXPECT_EQ(context::HashChunk(held->kv.bytes()), hash);
}

TEST_P(ReasoningProcessTest, StoppedProcessIsNoticedAndServesAgainWhenItGoesOn) {
  Program program(Arguments("127.0.0.1:0"));
  StartChannel(AddressOf(program));
  ServeOneSnapshot(1'000'000);
  program.Signal(SIGSTOP);
  ASSERT_TRUE(receiver_.WaitForLink(context::LinkState::kDown));
  EXPECT_TRUE(absl::IsUnavailable(channel_->Submit(ObservationAt(1'500'000))));
  program.Signal(SIGCONT);
  ServeOneSnapshot(2'000'000);
  program.Signal(SIGTERM);
  EXPECT_EQ(program.Wait(), 0);
}

TEST_P(ReasoningProcessTest, KilledProcessIsServedByItsSuccessor) {
  std::string address;
  {
    Program program(Arguments("127.0.0.1:0"));
    address = AddressOf(program);
    StartChannel(address);
    ServeOneSnapshot(1'000'000);
    program.Signal(SIGKILL);
    EXPECT_EQ(program.Wait(), -SIGKILL);
  }
  ASSERT_TRUE(receiver_.WaitForLink(context::LinkState::kDown));
  Program successor(Arguments(address));
  EXPECT_EQ(AddressOf(successor), address);
  ServeOneSnapshot(2'000'000);
}

// The long form of ProducerKilledTest: whole processes, killed by the kernel at a byte of their
// stream.
TEST_P(ReasoningProcessTest, LongProcessesKilledAtRandomBytesCostNoReadAndTheSessionRecovers) {
  if (!LongTests()) GTEST_SKIP() << "minutes: tools/dev.sh test --long";
  if (GetParam() != context::Lane::kGrpc) GTEST_SKIP() << "bytes that are cut are the gRPC lane's";
  auto program = std::make_unique<Program>(Arguments("127.0.0.1:0"));
  proxy_.Serve(AddressOf(*program));
  StartChannel(proxy_.address());
  owner_.Drive(channel_.get());
  ASSERT_TRUE(owner_.WaitForSnapshots(2));
  const uint64_t before = proxy_.forwarded_bytes();
  ASSERT_TRUE(owner_.WaitForSnapshots(4));
  const uint64_t snapshot_bytes = (proxy_.forwarded_bytes() - before) / 2;
  owner_.StartReading();
  std::mt19937_64 random(21);
  RecoveryTimes from_start, from_listening;
  for (int kill = 1; kill <= kKills; ++kill) {
    const uint64_t epoch = owner_.epoch();
    proxy_.CutAfter(random() % (snapshot_bytes * 3 / 2), [&program] { program->Signal(SIGKILL); });
    proxy_.WaitUntilCut();
    ASSERT_EQ(program->Wait(), -SIGKILL);
    ASSERT_TRUE(owner_.Latest()) << "the last good version serves";
    const auto started = RecoveryTimes::Clock::now();
    program = std::make_unique<Program>(Arguments("127.0.0.1:0"));
    proxy_.Serve(AddressOf(*program));
    const auto listening = RecoveryTimes::Clock::now();
    proxy_.Restore();
    ASSERT_TRUE(owner_.WaitForSnapshotAfter(epoch))
        << "kill " << kill << "; " << owner_.Trace() << program->Errors();
    from_start.Add(started);
    from_listening.Add(listening);
    EXPECT_GT(owner_.Latest().id().epoch, epoch);
    if (kill % 50 == 0) {
      std::cout << kill << " killed, " << owner_.planner_errors() << " planner errors" << std::endl;
    }
  }
  owner_.StopReading();
  from_start.Print("from the start of the successor");
  from_listening.Print("from its listening");
  EXPECT_EQ(owner_.planner_errors(), 0U);
}

TEST(ReasoningProgramTest, BadFlagsEndWithOneLineAndAStatus) {
  EXPECT_EQ(Program({"--checkpoint", kCheckpoint, "--publish-decisions", "maybe"}).Wait(), 2);
  EXPECT_EQ(Program({"--address", "127.0.0.1:0"}).Wait(), 2);
  std::vector<std::string> unreachable = Arguments("127.0.0.1:0");
  unreachable.insert(unreachable.end(), {"--shared-memory-user", "1"});
  EXPECT_EQ(Program(unreachable).Wait(), 1) << "others cannot reach the private folder";
  std::vector<std::string> taken = Arguments("127.0.0.1:0");
  taken.insert(taken.end(), {"--shared-memory-socket", "/proc/version"});
  EXPECT_EQ(Program(taken).Wait(), 1) << "that is no socket";
  EXPECT_EQ(Program({"--checkpoint", kCheckpoint, "--address", "0.0.0.0:0"}).Wait(), 1);
  std::vector<std::string> nowhere = Arguments("127.0.0.1:0");
  nowhere[1] = "/nowhere";
  EXPECT_EQ(Program(nowhere).Wait(), 1) << "listens, then says that it will never be ready";
}

}  // namespace
}  // namespace automot
