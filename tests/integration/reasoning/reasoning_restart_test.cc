// The lane when the reasoning process drains, dies, comes back, or was never there.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/integration/reasoning/lane_fixture.h"

namespace automot {
namespace {

using ::testing::ElementsAre;

TEST_P(LaneTest, RestartedProducerServesTheNextEpochWithFullHistory) {
  StartReasoning();
  StartChannel();
  const std::string address = process_->address();
  fakes::RecordingReceiver receiver;
  ASSERT_TRUE(channel_->Attach(Request(1, 100), &receiver).ok());
  ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kUp));
  for (std::size_t i = 0; i < 4; ++i) {
    ASSERT_TRUE(
        SubmitAt(1, static_cast<SessionTimeUs>(i) * 250'000, static_cast<uint8_t>(i + 1)).ok());
  }
  ASSERT_TRUE(receiver.WaitForSnapshots(1));
  process_.reset();
  ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kDown));
  EXPECT_TRUE(absl::IsUnavailable(SubmitAt(1, 1'000'000, 5)));
  const std::size_t before = receiver.snapshots().size();

  ASSERT_TRUE(
      channel_->Attach(Request(1, 101), &receiver).ok());  // nobody is there yet: retried inside
  StartReasoning(address);
  ASSERT_TRUE(receiver.WaitForSnapshots(before + 1)) << "from the observation that was kept";
  const context::SnapshotHeader header = receiver.snapshots()[before]->header;
  EXPECT_EQ(header.id.epoch, 101U);
  EXPECT_EQ(header.id.version, 1U);
  EXPECT_THAT(header.frame_capture_times_us, ElementsAre(250'000, 500'000, 750'000, 1'000'000));
  EXPECT_FALSE(header.reasons.Has(Reason::kShortHistory));
  ExpectFakeTensors(*receiver.snapshots()[before], {2, 3, 4, 5});
}

TEST_P(LaneTest, DrainIsAnnouncedAndThenTheLinkGoesDown) {
  StartReasoning();
  StartChannel();
  fakes::RecordingReceiver receiver;
  ASSERT_TRUE(channel_->Attach(Request(1, 1), &receiver).ok());
  ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kUp));
  process_->engine().BeginDrain();
  ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kDraining));
  ASSERT_TRUE(SubmitAt(1, 0).ok());
  ASSERT_TRUE(receiver.WaitForSnapshots(1)) << "served until the end";
  process_->server().Stop();
  ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kDown));
  EXPECT_TRUE(absl::IsUnavailable(receiver.link_states().back().second));
}

TEST_P(LaneTest, DrainEndsWhenTheLastSubscriberLeaves) {
  StartReasoning();
  StartChannel();
  fakes::RecordingReceiver receiver;
  ASSERT_TRUE(channel_->Attach(Request(1, 1), &receiver).ok());
  ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kUp));
  std::thread drain([&] { process_->server().Drain(); });  // its patience is 30 s
  EXPECT_TRUE(receiver.WaitForLink(context::LinkState::kDraining));
  channel_->Detach(1);
  drain.join();
}

TEST_P(LaneTest, NewerEpochOfAnotherPlannerFencesTheLink) {
  StartReasoning();
  StartChannel();
  auto other = MakeChannel({process_->address()});
  fakes::RecordingReceiver receiver, taker;
  ASSERT_TRUE(channel_->Attach(Request(1, 10), &receiver).ok());
  ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kUp));
  ASSERT_TRUE(other->Attach(Request(1, 11), &taker).ok());
  ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kDown));
  EXPECT_TRUE(absl::IsAborted(receiver.link_states().back().second));
  ASSERT_TRUE(taker.WaitForLink(context::LinkState::kUp));
  fakes::RecordingReceiver late;
  ASSERT_TRUE(channel_->Attach(Request(1, 10), &late).ok());
  ASSERT_TRUE(late.WaitForLink(context::LinkState::kDown));
  EXPECT_TRUE(absl::IsAborted(late.link_states().back().second));
  EXPECT_TRUE(taker.link_states().size() == 1);
}

TEST_P(LaneTest, SessionMovesToAnotherProducerWhenItsOwnDies) {
  StartReasoning();
  const auto second = MakeReasoning();
  channel_ = MakeChannel({process_->address(), second->address()});
  fakes::RecordingReceiver receiver;
  ASSERT_TRUE(channel_->Attach(Request(1, 1), &receiver).ok());
  ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kUp));
  const bool on_second = second->engine().status().sessions == 1;
  if (on_second) {
    second->server().Stop();
  } else {
    process_->server().Stop();
  }
  ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kDown));
  ASSERT_TRUE(channel_->Attach(Request(1, 2), &receiver).ok());
  ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kUp));
  SubmitAt(1, 0).IgnoreError();
  ASSERT_TRUE(receiver.WaitForSnapshots(1));
  EXPECT_EQ(receiver.snapshots()[0]->header.id.epoch, 2U);
  channel_.reset();
}

// A peer that accepts connections and never says a word, like a stopped process.
class SilentPeer {
 public:
  SilentPeer() : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(socket_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(socket_, 8), 0);
    EXPECT_EQ(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
  ~SilentPeer() { ::close(socket_); }
  const std::string& address() const { return address_; }

 private:
  int socket_;
  std::string address_;
};

TEST_P(LaneTest, SilentPeerIsGivenUpOnAndBlocksNobody) {
  SilentPeer peer;
  planning::GrpcSnapshotChannelOptions options;
  options.addresses = {peer.address()};
  options.timeouts.attach = absl::Milliseconds(50);
  options.timeouts.first_retry = absl::Milliseconds(5);
  auto channel = planning::GrpcSnapshotChannel::Create(options);
  ASSERT_TRUE(channel.ok());
  fakes::RecordingReceiver receiver;
  ASSERT_TRUE((*channel)->Attach(Request(1, 1), &receiver).ok());
  EXPECT_TRUE(absl::IsUnavailable((*channel)->Submit(fakes::SlowObservationAt(1, 0, 1))));
  ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kDown));
  (*channel)->Detach(1);
}

TEST_P(LaneTest, ChannelMayGoWhileEverythingIsUnderWay) {
  StartReasoning();
  StartChannel();
  fakes::RecordingReceiver receiver;
  ASSERT_TRUE(channel_->Attach(Request(1, 1), &receiver).ok());
  ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kUp));
  control_->layer_gate.Close();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(SubmitAt(1, i * 500'000).ok());
  channel_.reset();
  control_->layer_gate.Open();
}

}  // namespace
}  // namespace automot
