// A planner with several reasoning replicas: who serves which session, and what moves when one
// drains, dies, comes or is resolved no more.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>

#include "common/rpc/rendezvous_hash.h"
#include "tests/integration/reasoning/lane_fixture.h"

namespace automot {
namespace {

using context::LinkState;
using context::RehomeReason;

constexpr std::size_t kSessions = 12;

std::string PortOf(const std::string& address) { return address.substr(address.rfind(':') + 1); }

class RehomingTest : public LaneTest {
 protected:
  void AttachAll() {
    for (std::size_t i = 0; i < kSessions; ++i) AttachNew(i);
  }
  void AttachNew(std::size_t i) {
    context::AttachRequest request = Request(i, ++epoch_);
    request.reasoning_rate_hz = 4.0;  // so that each frame of Drive is due
    ASSERT_TRUE(channel_->Attach(request, &receivers_.at(i)).ok());
    ASSERT_TRUE(receivers_.at(i).WaitForLink(LinkState::kUp));
  }
  // What the owner does when a link has gone down.
  void AttachAgain(std::size_t i) {
    ASSERT_TRUE(receivers_.at(i).WaitForLink(LinkState::kDown));
    AttachNew(i);
  }
  std::size_t LinksUp(std::size_t i) const {
    std::size_t up = 0;
    for (const auto& [state, why] : receivers_.at(i).link_states()) up += state == LinkState::kUp;
    return up;
  }
  // Frames in the official spacing: the newest has full history.
  void Drive(std::size_t i) {
    for (uint8_t frame = 0; frame < 4; ++frame) {
      const absl::Status submitted = SubmitAt(i, frame * 250'000, frame + 1);
      ASSERT_TRUE(submitted.ok()) << submitted;
    }
    for (std::size_t n = 1;; ++n) {
      ASSERT_TRUE(receivers_.at(i).WaitForSnapshots(n));
      if (receivers_.at(i).snapshots().back()->header.capture_time_us == 750'000) return;
    }
  }
  void ExpectFullHistoryAfter(std::size_t i, std::size_t before) {
    ASSERT_TRUE(channel_->Submit(fakes::SlowObservationAt(i, 1'000'000, 5)).ok());
    ASSERT_TRUE(receivers_.at(i).WaitForSnapshots(before + 1));
    for (std::size_t at = before; at < receivers_.at(i).snapshots().size(); ++at) {
      const context::SnapshotHeader header = receivers_.at(i).snapshots().at(at)->header;
      EXPECT_FALSE(header.reasons.Has(Reason::kShortHistory)) << "snapshot " << at;
      EXPECT_EQ(header.frame_capture_times_us.size(), 4U);
    }
  }
  uint64_t Rehomes(RehomeReason reason) const {
    return channel_->stats().rehomes.at(static_cast<std::size_t>(reason));
  }
  // Sessions whose first choice among `addresses` is `address`.
  static std::vector<std::size_t> Of(const std::string& address,
                                     const std::vector<std::string>& addresses) {
    std::vector<std::size_t> sessions;
    for (std::size_t i = 0; i < kSessions; ++i) {
      const std::size_t choice = rpc::RendezvousChoice("car" + std::to_string(i), addresses);
      if (addresses.at(choice) == address) sessions.push_back(i);
    }
    return sessions;
  }

  uint64_t epoch_ = 0;
  std::array<fakes::RecordingReceiver, kSessions> receivers_;
};

INSTANTIATE_TEST_SUITE_P(Lanes, RehomingTest, BothLanes(), LaneName);

TEST_P(RehomingTest, SessionsStartAtTheirFirstChoice) {
  StartReasoning();
  const auto second = MakeReasoning();
  const std::vector<std::string> addresses = {process_->address(), second->address()};
  channel_ = MakeChannel(addresses);
  AttachAll();
  EXPECT_EQ(process_->engine().status().sessions, Of(addresses[0], addresses).size());
  EXPECT_EQ(second->engine().status().sessions, Of(addresses[1], addresses).size());
  EXPECT_EQ(Rehomes(RehomeReason::kDied), 0U);
  channel_.reset();
}

TEST_P(RehomingTest, DrainMovesItsOwnSessionsWithTheirHistoryAndNoOthers) {
  const auto first = MakeReasoning();
  const auto second = MakeReasoning();
  const std::vector<std::string> addresses = {first->address(), second->address()};
  channel_ = MakeChannel(addresses);
  AttachAll();
  for (std::size_t i = 0; i < kSessions; ++i) Drive(i);
  const std::vector<std::size_t> moving = Of(addresses[0], addresses);
  first->engine().BeginDrain();
  for (const std::size_t i : moving) {
    const std::size_t before = receivers_.at(i).snapshots().size();
    AttachAgain(i);
    ExpectFullHistoryAfter(i, before);
  }
  EXPECT_EQ(second->engine().status().sessions, kSessions);
  EXPECT_EQ(Rehomes(RehomeReason::kDraining), moving.size());
  EXPECT_EQ(Rehomes(RehomeReason::kDied), 0U);
  for (const std::size_t i : Of(addresses[1], addresses)) EXPECT_EQ(LinksUp(i), 1U);
  channel_.reset();
}

TEST_P(RehomingTest, DeathMovesItsOwnSessionsWithTheirHistory) {
  auto first = MakeReasoning();
  const auto second = MakeReasoning();
  const std::vector<std::string> addresses = {first->address(), second->address()};
  channel_ = MakeChannel(addresses);
  AttachAll();
  for (std::size_t i = 0; i < kSessions; ++i) Drive(i);
  const std::vector<std::size_t> moving = Of(addresses[0], addresses);
  first.reset();
  for (const std::size_t i : moving) {
    const std::size_t before = receivers_.at(i).snapshots().size();
    AttachAgain(i);
    ExpectFullHistoryAfter(i, before);
  }
  EXPECT_EQ(Rehomes(RehomeReason::kDied), moving.size());
  EXPECT_EQ(Rehomes(RehomeReason::kDraining), 0U);
  channel_.reset();
}

// A name whose addresses the test changes.
class FakeName {
 public:
  void Set(absl::StatusOr<std::vector<std::string>> addresses) {
    const std::lock_guard lock(mutex_);
    addresses_ = std::move(addresses);
  }
  planning::Resolve resolve() {
    return [this](const planning::ReplicaName&) {
      const std::lock_guard lock(mutex_);
      return addresses_;
    };
  }

 private:
  std::mutex mutex_;
  absl::StatusOr<std::vector<std::string>> addresses_ = absl::UnavailableError("not yet");
};

class ResolvedReplicasTest : public RehomingTest {
 protected:
  context::Lane lane() const override { return context::Lane::kGrpc; }
  void StartNamedChannel(const std::string& port) {
    planning::GrpcSnapshotChannelOptions options;
    options.addresses = {"dns:replicas.test:" + port};
    options.resolve = name_.resolve();
    options.resolve_interval = absl::Milliseconds(2);
    options.pool.prefault = false;
    options.timeouts.first_retry = absl::Milliseconds(5);
    options.timeouts.last_retry = absl::Milliseconds(20);
    channel_ = *planning::GrpcSnapshotChannel::Create(options);
  }

  FakeName name_;
};

INSTANTIATE_TEST_SUITE_P(Grpc, ResolvedReplicasTest, ::testing::Values(context::Lane::kGrpc),
                         LaneName);

TEST_P(ResolvedReplicasTest, SessionsWaitUntilTheNameHasAnAddress) {
  StartReasoning();
  StartNamedChannel(PortOf(process_->address()));
  ASSERT_TRUE(channel_->Attach(Request(0, 1), &receivers_[0]).ok());
  ASSERT_TRUE(receivers_[0].WaitForLink(LinkState::kDown));
  EXPECT_THAT(std::string(receivers_[0].link_states().back().second.message()),
              ::testing::HasSubstr("no reasoning replica is known"));
  name_.Set(std::vector<std::string>{process_->address()});
  EXPECT_TRUE(receivers_[0].WaitForLink(LinkState::kUp));
}

TEST_P(ResolvedReplicasTest, OnlySessionsOfAVanishedReplicaMove) {
  const auto first = MakeReasoning();
  const std::string port = PortOf(first->address());
  const auto second = MakeReasoning("127.0.0.2:" + port);
  const std::vector<std::string> both = {first->address(), second->address()};
  name_.Set(both);
  StartNamedChannel(port);
  AttachAll();
  for (std::size_t i = 0; i < kSessions; ++i) Drive(i);
  EXPECT_EQ(second->engine().status().sessions, Of(both[1], both).size());

  // A replica that comes moves nobody; one that goes moves its own, though it would serve on.
  const auto third = MakeReasoning("127.0.0.3:" + port);
  name_.Set(std::vector<std::string>{second->address(), third->address()});
  const std::vector<std::size_t> moving = Of(both[0], both);
  for (const std::size_t i : moving) {
    const std::size_t before = receivers_.at(i).snapshots().size();
    AttachAgain(i);
    ExpectFullHistoryAfter(i, before);
  }
  EXPECT_EQ(Rehomes(RehomeReason::kRemoved), moving.size());
  for (const std::size_t i : Of(both[1], both)) EXPECT_EQ(LinksUp(i), 1U);
  channel_.reset();
}

// A resolver that fails takes nothing away: a name that is asked for often is away now and then.
TEST_P(ResolvedReplicasTest, ResolverThatIsAwayMovesNobody) {
  StartReasoning();
  name_.Set(std::vector<std::string>{process_->address()});
  StartNamedChannel(PortOf(process_->address()));
  AttachNew(0);
  name_.Set(absl::UnavailableError("no name server"));
  AttachNew(1);
  name_.Set(std::vector<std::string>{});
  AttachNew(2);
  EXPECT_EQ(LinksUp(0), 1U);
  EXPECT_EQ(Rehomes(RehomeReason::kRemoved), 0U);
}

}  // namespace
}  // namespace automot
