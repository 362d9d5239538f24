// The producer is killed at a thousand random bytes of its stream: the planner reads on without an
// error, the last good version serves, and the next producer's snapshots are taken.
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "tests/integration/reasoning/driving_owner.h"
#include "tests/integration/reasoning/lane_fixture.h"
#include "tests/integration/reasoning/recovery_times.h"
#include "tests/support/cutting_proxy.h"

namespace automot {
namespace {

constexpr int kKills = 1000;
constexpr int kKillsInSharedMemory = 200;  // where fewer bytes go through the connection
constexpr int kKillsPerRestart = 20;       // the server itself, with all that it knows

class ProducerKilledTest : public LaneTest {
 protected:
  void SetUp() override {
    StartReasoning();
    proxy_.Serve(process_->address());
    channel_ = MakeChannel({proxy_.address()});
    owner_.Drive(channel_.get());
    ASSERT_TRUE(owner_.WaitForSnapshots(3));
    const uint64_t before = proxy_.forwarded_bytes();
    ASSERT_TRUE(owner_.WaitForSnapshots(13));
    snapshot_bytes_ = (proxy_.forwarded_bytes() - before) / 10;
    owner_.StartReading();
  }

  // What is served is whole, and not older than `before`.
  void ExpectServed(const SnapshotId& before) {
    const DrivingOwner::Store::Handle served = owner_.Latest();
    ASSERT_TRUE(served);
    EXPECT_TRUE(PublicationOrder(served.id(), before) >= 0);
    const std::size_t frames = (*served)->header.frame_capture_times_us.size();
    ExpectFakeTensors(**served, std::vector<uint64_t>(frames, 1));
  }
  void RestartReasoning() {
    process_.reset();
    StartReasoning();
    proxy_.Serve(process_->address());
  }

  support::CuttingProxy proxy_;
  DrivingOwner owner_{Request(1, 1).model_revision, [](SessionTimeUs time) {
                        return fakes::SlowObservationAt(DrivingOwner::kSession, time, 1);
                      }};
  uint64_t snapshot_bytes_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Lanes, ProducerKilledTest, BothLanes(), LaneName);

TEST_P(ProducerKilledTest, AThousandKillsAtRandomBytesCostNoReadAndTheSessionRecovers) {
  std::mt19937_64 random(20);
  RecoveryTimes recovery;
  const int kills = lane() == context::Lane::kGrpc ? kKills : kKillsInSharedMemory;
  for (int kill = 1; kill <= kills; ++kill) {
    const uint64_t byte = random() % (snapshot_bytes_ + snapshot_bytes_ / 2);
    SCOPED_TRACE(testing::Message() << "kill " << kill << " after byte " << byte);
    const SnapshotId before = owner_.Latest().id();
    const uint64_t epoch = owner_.epoch();
    proxy_.CutAfter(byte);
    proxy_.WaitUntilCut();
    ASSERT_NO_FATAL_FAILURE(ExpectServed(before));
    if (kill % kKillsPerRestart == 0) RestartReasoning();
    const auto restarted = RecoveryTimes::Clock::now();
    proxy_.Restore();
    ASSERT_TRUE(owner_.WaitForSnapshotAfter(epoch)) << "recovers under a new epoch";
    recovery.Add(restarted);
    EXPECT_GT(owner_.Latest().id().epoch, epoch);
  }
  owner_.StopReading();
  recovery.Print("connections cut");
  EXPECT_EQ(owner_.planner_errors(), 0U);
  EXPECT_GT(owner_.reads(), static_cast<uint64_t>(kills));
  channel_.reset();  // before its receiver
}

}  // namespace
}  // namespace automot
