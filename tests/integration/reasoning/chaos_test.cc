// automot-reasoning --chaos: every second snapshot or so leaves damaged, late, twice or not at all.
// The planner reads on, and what it gets is whole.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <mutex>
#include <vector>

#include "tests/integration/reasoning/driving_owner.h"
#include "tests/integration/reasoning/lane_fixture.h"

namespace automot {
namespace {

class ChaosTest : public LaneTest {
 protected:
  context::Lane lane() const override { return context::Lane::kGrpc; }
  void StartChaos(uint64_t seed) {
    reasoning::ReasoningServerOptions options{.address = "127.0.0.1:0"};
    options.chaos_seed = seed;
    options.on_chaos = [this](const context::SnapshotHeader&, uint64_t plan_seed,
                              const std::vector<faults::FaultKind>& injected) {
      const std::lock_guard lock(mutex_);
      plans_.push_back(plan_seed);
      for (const faults::FaultKind kind : injected) ++injected_.at(static_cast<std::size_t>(kind));
    };
    process_ = std::make_unique<ReasoningProcess>(control_, reasoning::ReasoningOptions{}, options);
    channel_ = MakeChannel({process_->address()});
  }
  std::vector<uint64_t> plans() const {
    const std::lock_guard lock(mutex_);
    return plans_;
  }

  DrivingOwner owner_{Request(1, 1).model_revision, [](SessionTimeUs time) {
                        return fakes::SlowObservationAt(DrivingOwner::kSession, time, 1);
                      }};
  mutable std::mutex mutex_;
  std::array<int, faults::kFaultKindCount> injected_{};
  std::vector<uint64_t> plans_;
};

TEST_F(ChaosTest, EveryKindIsInjectedAndThePlannerReadsOnlyWholeSnapshots) {
  StartChaos(7);
  owner_.Drive(channel_.get());
  ASSERT_TRUE(owner_.WaitForSnapshots(1));
  owner_.StartReading();
  for (uint64_t count = 2; count <= 150; ++count) {
    ASSERT_TRUE(owner_.WaitForSnapshots(count)) << owner_.Trace();
    const DrivingOwner::Store::Handle served = owner_.Latest();
    const std::size_t frames = (*served)->header.frame_capture_times_us.size();
    ExpectFakeTensors(**served, std::vector<uint64_t>(frames, 1));
  }
  owner_.StopReading();
  EXPECT_EQ(owner_.planner_errors(), 0U);
  EXPECT_GT(channel_->stats().snapshots_refused, 20U);
  channel_.reset();
  const std::lock_guard lock(mutex_);
  for (int kind = 1; kind < faults::kFaultKindCount; ++kind) {
    EXPECT_GT(injected_.at(static_cast<std::size_t>(kind)), 0)
        << ToString(static_cast<faults::FaultKind>(kind));
  }
}

TEST_F(ChaosTest, TheSameSeedDrawsTheSamePlans) {
  std::array<std::vector<std::optional<uint64_t>>, 3> drawn;
  for (std::size_t run = 0; run < drawn.size(); ++run) {
    reasoning::ChaosSource source(run == 2 ? 8 : 7, nullptr);
    for (int i = 0; i < 50; ++i) drawn[run].push_back(source.NextPlanSeed());
  }
  EXPECT_EQ(drawn[0], drawn[1]);
  EXPECT_NE(drawn[0], drawn[2]);
}

TEST_F(ChaosTest, IsOffUnlessAskedFor) {
  StartReasoning();
  channel_ = MakeChannel({process_->address()});
  owner_.Drive(channel_.get());
  ASSERT_TRUE(owner_.WaitForSnapshots(100));
  EXPECT_EQ(channel_->stats().snapshots_refused, 0U);
  channel_.reset();
}

}  // namespace
}  // namespace automot
