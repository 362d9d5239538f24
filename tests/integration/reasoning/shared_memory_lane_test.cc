// What only the shared-memory lane has: snapshots read where they were computed, consumers that
// hold them too long, and ends that break while something is lent.
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>

#include "common/context/chunk_hash.h"
#include "tests/integration/reasoning/lane_fixture.h"
#include "tests/integration/reasoning/service_fixture.h"

namespace automot {
namespace {

using context::SnapshotPtr;

struct LoanEvents final : reasoning::ReasoningEvents {
  void OnReplaced() override { ++replaced; }
  void OnLoan(bool was_lent) override { ++(was_lent ? lent : waits); }
  std::atomic<int> replaced{0}, lent{0}, waits{0};
};

class SharedMemoryLaneTest : public LaneTest {
 protected:
  context::Lane lane() const override { return context::Lane::kSharedMemory; }

  void AttachAndWait(uint64_t session, fakes::RecordingReceiver& receiver, uint64_t epoch = 1) {
    ASSERT_TRUE(channel_->Attach(Request(session, epoch), &receiver).ok());
    ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kUp));
  }
  // One more snapshot of the session, by way of `receiver`.
  void Refresh(uint64_t session, fakes::RecordingReceiver& receiver, uint8_t brightness) {
    const std::size_t before = receiver.snapshots().size();
    ASSERT_TRUE(
        SubmitAt(session, static_cast<SessionTimeUs>(++refreshes_) * 500'000, brightness).ok());
    ASSERT_TRUE(receiver.WaitForSnapshots(before + 1));
  }
  // As a process that stopped right after it subscribed: reads nothing, gives nothing back.
  struct Frozen {
    std::unique_ptr<shared_memory::RegionClient> regions;
    std::unique_ptr<v1::ReasoningService::Stub> stub;
    std::unique_ptr<Subscription> stream;
  };
  Frozen FrozenConsumer(const std::string& session, const std::string& token = "") {
    Frozen frozen;
    frozen.regions = shared_memory::RegionClient::Connect(
                         {.path = folder_.folder() + "/" + std::to_string(sockets_)})
                         .value();
    frozen.stub = v1::ReasoningService::NewStub(
        grpc::CreateChannel(process_->address(), grpc::InsecureChannelCredentials()));
    v1::SubscribeContextsRequest request = ServiceRequest(session);
    request.set_shared_memory_token(token.empty() ? frozen.regions->token() : token);
    request.set_shared_memory_subscription(frozen.regions->MintSubscription());
    frozen.stream = std::make_unique<Subscription>(*frozen.stub, request);
    return frozen;
  }
  static v1::SubscribeContextsRequest ServiceRequest(const std::string& session) {
    v1::SubscribeContextsRequest request;
    request.set_session(session);
    request.set_episode(1);
    request.set_epoch(1);
    request.set_reasoning_rate_hz(2.0);
    request.set_model_revision("00112233445566778899aabbccddeeff");
    return request;
  }

  static uint64_t HashOf(const context::ContextSnapshot& snapshot) {
    return context::HashChunk(snapshot.kv.bytes());
  }
  // Breaks every connection of this process to the producer's socket, from outside.
  void BreakConnections() const {
    const std::string path = folder_.folder() + "/" + std::to_string(sockets_);
    for (int descriptor = 0; descriptor < 1024; ++descriptor) {
      sockaddr_un peer = {};
      socklen_t size = sizeof(peer);
      if (getpeername(descriptor, reinterpret_cast<sockaddr*>(&peer), &size) != 0) continue;
      if (peer.sun_family == AF_UNIX && path == peer.sun_path) shutdown(descriptor, SHUT_RDWR);
    }
  }

  std::size_t refreshes_ = 0;
};

TEST_F(SharedMemoryLaneTest, BytesAreThoseOfTheGrpcLaneAndNothingIsCopied) {
  control_->layout = {
      .layers = 3, .tokens = 700, .kv_heads = 4, .k_head_dim = 128, .v_head_dim = 80};
  StartReasoning();
  StartChannel();
  fakes::RecordingReceiver shared, by_value;
  AttachAndWait(1, shared);
  Refresh(1, shared, 42);
  const context::LinkStats stats = channel_->stats();
  EXPECT_EQ(channel_->lane(), context::Lane::kSharedMemory);
  EXPECT_EQ(stats.bytes_copied, 0U);
  EXPECT_GE(stats.bytes_received, control_->layout.payload_bytes());

  planning::GrpcSnapshotChannelOptions options;
  options.addresses = {process_->address()};
  options.pool.prefault = false;
  const auto plain = planning::GrpcSnapshotChannel::Create(options).value();
  ASSERT_TRUE(plain->Attach(Request(2, 1), &by_value).ok());
  ASSERT_TRUE(by_value.WaitForLink(context::LinkState::kUp));
  ASSERT_TRUE(plain->Submit(fakes::SlowObservationAt(2, 500'000, 42)).ok());
  ASSERT_TRUE(by_value.WaitForSnapshots(1));
  EXPECT_EQ(plain->stats().bytes_copied, control_->layout.payload_bytes());
  const SnapshotPtr one = shared.snapshots()[0], other = by_value.snapshots()[0];
  for (int layer = 0; layer < 3; ++layer) {
    for (const auto tensor : {context::TensorKind::kKey, context::TensorKind::kValue}) {
      EXPECT_TRUE(
          std::ranges::equal(one->kv.Tensor(layer, tensor), other->kv.Tensor(layer, tensor)));
    }
  }
  EXPECT_EQ(one->decision->slots[1].text.view(), other->decision->slots[1].text.view());
}

TEST_F(SharedMemoryLaneTest, AConsumerThatHoldsOnGetsCopiesAndIsNeverStarved) {
  limits_.snapshots = 4;
  StartReasoning();
  StartChannel();
  fakes::RecordingReceiver hoarder;  // keeps every snapshot
  AttachAndWait(1, hoarder);
  std::vector<uint64_t> hashes;
  for (uint8_t i = 1; i <= 20; ++i) {
    Refresh(1, hoarder, i);
    hashes.push_back(HashOf(*hoarder.snapshots().back()));
  }
  EXPECT_GT(channel_->stats().bytes_copied, 0U);
  EXPECT_EQ(channel_->stats().bytes_copied % control_->layout.payload_bytes(), 0U);
  EXPECT_LE(channel_->stats().bytes_copied, 18 * control_->layout.payload_bytes());
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    EXPECT_EQ(HashOf(*hoarder.snapshots()[i]), hashes[i]) << "rewritten while it was held";
  }
}

TEST_F(SharedMemoryLaneTest, AFrozenConsumerIsBoundedAndTheOthersGoOn) {
  limits_.snapshots = 3;
  LoanEvents events;
  events_ = &events;
  StartReasoning();
  StartChannel();
  const Frozen frozen = FrozenConsumer("frozen");
  fakes::RecordingReceiver receiver;
  AttachAndWait(1, receiver);
  for (uint8_t i = 1; i <= 30; ++i) {
    auto observation = fakes::SlowObservationAt(0, i * 500'000, i);
    while (!process_->engine().SubmitByName("frozen", 1, observation).ok()) {
    }
    Refresh(1, receiver, i);
  }
  // Of the frozen one: its loans, one before the header and the newest. Of the other: all it keeps.
  EXPECT_LE(process_->engine().pool_stats().lent_buffers,
            limits_.snapshots + 2 + limits_.snapshots + 1);
  // Of the frozen one's: three lent, one waiting, the newest waiting; all between gave way.
  EXPECT_GE(events.replaced, 30 - 3 - 2 - 1);
  EXPECT_GE(events.lent, 30 + 3);
  EXPECT_GT(events.waits, 0);
  process_.reset();
}

TEST_F(SharedMemoryLaneTest, WhatIsHeldAfterTheEndIsNeverWrittenAgain) {
  StartReasoning();
  StartChannel();
  fakes::RecordingReceiver receiver;
  AttachAndWait(1, receiver);
  Refresh(1, receiver, 7);
  const SnapshotPtr held = receiver.snapshots()[0];
  channel_.reset();  // the connection ends, the snapshot lives on
  StartChannel();
  fakes::RecordingReceiver next;
  AttachAndWait(2, next);
  for (uint8_t i = 1; i <= 20; ++i) Refresh(2, next, i);
  ExpectFakeTensors(*held, {7, 7, 7, 7});
  process_.reset();
  ExpectFakeTensors(*held, {7, 7, 7, 7});
}

TEST_F(SharedMemoryLaneTest, LostLoansComeBackWhenTheSessionAttachesAgain) {
  limits_.snapshots = 4;
  StartReasoning();
  StartChannel();
  for (uint64_t epoch = 1; epoch <= 25; ++epoch) {
    fakes::RecordingReceiver receiver;
    ASSERT_TRUE(channel_->Attach(Request(1, epoch), &receiver).ok());
    if (epoch % 2 == 0) {
      ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kUp));
    }
    SubmitAt(1, static_cast<SessionTimeUs>(epoch) * 500'000).IgnoreError();
    if (epoch % 3 == 0) {
      ASSERT_TRUE(receiver.WaitForSnapshots(1));
    }
    if (epoch == 25) {
      ASSERT_TRUE(receiver.WaitForSnapshots(1));
    }
    channel_->Detach(1);
  }
  while (process_->engine().pool_stats().lent_buffers > 0) {
  }
}

TEST_F(SharedMemoryLaneTest, AFailedRefreshGivesItsRegionBack) {
  StartReasoning();
  StartChannel();
  fakes::RecordingReceiver receiver;
  AttachAndWait(1, receiver);
  const int layers = control_->layer_gate.arrivals();
  control_->layer_gate.Close();
  ASSERT_TRUE(SubmitAt(1, 0).ok());
  ASSERT_TRUE(control_->layer_gate.WaitForArrivals(layers + 1));
  control_->FailPrefill(absl::InternalError("layer on fire"));
  control_->layer_gate.Open();
  ASSERT_TRUE(receiver.WaitForFailures(1));
  while (process_->engine().pool_stats().lent_buffers > 0) {
  }
  control_->FailPrefill(absl::OkStatus());
  Refresh(1, receiver, 3);
}

TEST_F(SharedMemoryLaneTest, ATokenThatNobodyHoldsIsRefusedAndNotServedOtherwise) {
  StartReasoning();
  StartChannel();
  Frozen stranger = FrozenConsumer("car", std::string(16, 'x'));
  v1::SubscribeContextsResponse message;
  EXPECT_FALSE(stranger.stream->Read(&message));
  EXPECT_EQ(stranger.stream->Finish().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(SharedMemoryLaneTest, AProducerWithoutSharedMemoryIsNotServedFromByAnotherLane) {
  process_ = std::make_unique<ReasoningProcess>(control_, "127.0.0.1:0");
  StartChannel();
  fakes::RecordingReceiver receiver;
  ASSERT_TRUE(channel_->Attach(Request(1, 1), &receiver).ok());
  ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kDown));
  EXPECT_TRUE(absl::IsFailedPrecondition(receiver.link_states()[0].second))
      << receiver.link_states()[0].second;
  EXPECT_EQ(channel_->lane(), context::Lane::kSharedMemory);
  // It comes back with the lane: the link does too.
  const std::string address = process_->address();
  process_.reset();
  StartReasoning(address);
  SubmitAt(1, 0).IgnoreError();
  ASSERT_TRUE(receiver.WaitForSnapshots(1));
}

TEST_F(SharedMemoryLaneTest, TheEndOfTheSocketTakesTheLinkDownAndItReturns) {
  StartReasoning();
  StartChannel();
  fakes::RecordingReceiver receiver;
  AttachAndWait(1, receiver);
  BreakConnections();
  ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kDown));
  EXPECT_TRUE(absl::IsUnavailable(receiver.link_states().back().second));
  AttachAndWait(1, receiver, 2);
  Refresh(1, receiver, 9);
  EXPECT_EQ(channel_->stats().bytes_copied, 0U);
}

}  // namespace
}  // namespace automot
