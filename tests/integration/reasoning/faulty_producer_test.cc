// A producer that damages, reorders, drops and dies: the lane publishes the exact bytes or nothing.
#include <gmock/gmock.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <memory>

#include "absl/synchronization/notification.h"
#include "automot/v1/reasoning_service.grpc.pb.h"
#include "common/conversion/snapshot_header.h"
#include "common/conversion/snapshot_trailer.h"
#include "common/faults/fault_plan.h"
#include "services/planning/lane/grpc_snapshot_channel.h"
#include "tests/fakes/fake_understanding_expert.h"
#include "tests/fakes/recording_receiver.h"

namespace automot {
namespace {

using faults::WireChunk;
using faults::WireMessage;

constexpr char kSession[] = "car";
constexpr char kRevision[] = "revision";
constexpr uint64_t kEpoch = 500;
constexpr uint64_t kContentSeed = 99;

// A snapshot of several chunks per tensor; its digest names the session as the wire does.
context::ContextSnapshot MakeSnapshot(uint64_t version) {
  context::ContextSnapshot snapshot;
  snapshot.header.id = {.session = 1, .episode = 1, .epoch = kEpoch, .version = version};
  snapshot.header.capture_time_us = static_cast<SessionTimeUs>(version) * 100'000;
  snapshot.header.frame_capture_times_us = {snapshot.header.capture_time_us};
  snapshot.header.position_start = 200;
  snapshot.header.layout = {
      .layers = 2, .tokens = 200, .kv_heads = 4, .k_head_dim = 64, .v_head_dim = 32};
  snapshot.header.model_revision = kRevision;
  snapshot.header.prompt_template = "fake-v1";
  snapshot.header.instruction_mask = "causal";
  snapshot.header.history_spacing_s = 0.25;
  snapshot.kv = *context::KvBuffer::Allocate(snapshot.header.layout);
  for (int layer = 0; layer < 2; ++layer) {
    for (const auto tensor : {context::TensorKind::kKey, context::TensorKind::kValue}) {
      const auto bytes = snapshot.kv.Tensor(layer, tensor);
      for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = fakes::FakeTensorByte(kContentSeed + version, layer, tensor, i);
      }
    }
  }
  return snapshot;
}

std::vector<WireMessage> GoodMessages(uint64_t version) {
  return faults::Messages(MakeSnapshot(version), context::kMinChunkBytes, kSession);
}

v1::SubscribeContextsResponse ToWire(const WireMessage& message, uint32_t chunk_count) {
  v1::SubscribeContextsResponse wire;
  if (const auto* header = std::get_if<context::SnapshotHeader>(&message)) {
    conversion::SnapshotHeaderToProto(*header, kSession, wire.mutable_header());
  } else if (const auto* chunk = std::get_if<WireChunk>(&message)) {
    v1::SnapshotChunk* out = wire.mutable_chunk();
    out->set_layer(chunk->spec.layer);
    out->set_values(chunk->spec.tensor == context::TensorKind::kValue);
    out->set_offset_bytes(chunk->spec.offset_bytes);
    out->set_hash(chunk->spec.hash);
    out->set_data(chunk->bytes.data(), chunk->bytes.size());
  } else {
    conversion::SnapshotTrailerToProto(std::get<context::SnapshotTrailer>(message), {}, kSession,
                                       chunk_count, wire.mutable_trailer());
  }
  return wire;
}

// Answers every subscription with the same script, then ends the stream as a dying process does.
class ScriptedProducer final : public v1::ReasoningService::Service {
 public:
  ScriptedProducer() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~ScriptedProducer() override { server_->Shutdown(std::chrono::system_clock::now()); }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  void Play(std::vector<v1::SubscribeContextsResponse> script) {
    absl::MutexLock lock(&mutex_);
    script_ = std::move(script);
  }

  grpc::Status SubscribeContexts(
      grpc::ServerContext*, const v1::SubscribeContextsRequest* request,
      grpc::ServerWriter<v1::SubscribeContextsResponse>* writer) override {
    std::vector<v1::SubscribeContextsResponse> script;
    {
      absl::MutexLock lock(&mutex_);
      script = script_;
    }
    v1::SubscribeContextsResponse attached;
    attached.mutable_attached()->set_epoch(request->epoch());
    writer->Write(attached);
    for (const auto& message : script) writer->Write(message);
    return {grpc::StatusCode::UNAVAILABLE, "killed"};
  }

 private:
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  absl::Mutex mutex_;
  std::vector<v1::SubscribeContextsResponse> script_ ABSL_GUARDED_BY(mutex_);
};

class FaultyProducerTest : public ::testing::Test {
 protected:
  FaultyProducerTest() {
    planning::GrpcSnapshotChannelOptions options;
    options.addresses = {producer_.address()};
    options.pool.prefault = false;
    channel_ = *planning::GrpcSnapshotChannel::Create(options);
  }

  // Attaches, lets the producer play `messages` to its death, and returns what was published.
  std::vector<context::SnapshotPtr> Receive(const std::vector<WireMessage>& messages) {
    std::vector<v1::SubscribeContextsResponse> script;
    uint32_t chunks = 0;
    for (const WireMessage& message : messages) {
      chunks += std::holds_alternative<WireChunk>(message) ? 1 : 0;
      script.push_back(ToWire(message, chunks));
      if (std::holds_alternative<context::SnapshotTrailer>(message)) chunks = 0;
    }
    producer_.Play(std::move(script));
    fakes::RecordingReceiver receiver;
    const context::AttachRequest request = {.session = 1,
                                            .episode = 1,
                                            .epoch = kEpoch,
                                            .session_name = kSession,
                                            .model_revision = kRevision};
    EXPECT_TRUE(channel_->Attach(request, &receiver).ok());
    EXPECT_TRUE(receiver.WaitForLinkTimes(context::LinkState::kDown, 1));
    channel_->Detach(1);
    failures_ = receiver.failures();
    return receiver.snapshots();
  }

  static void ExpectExact(const context::ContextSnapshot& snapshot) {
    const context::ContextSnapshot good = MakeSnapshot(snapshot.header.id.version);
    for (int layer = 0; layer < 2; ++layer) {
      for (const auto tensor : {context::TensorKind::kKey, context::TensorKind::kValue}) {
        const auto have = snapshot.kv.Tensor(layer, tensor),
                   want = std::as_const(good.kv).Tensor(layer, tensor);
        ASSERT_TRUE(std::equal(have.begin(), have.end(), want.begin(), want.end()));
      }
    }
  }

  ScriptedProducer producer_;
  std::unique_ptr<planning::GrpcSnapshotChannel> channel_;
  std::vector<absl::Status> failures_;
};

TEST_F(FaultyProducerTest, UndamagedMessagesArePublished) {
  const auto snapshots = Receive(GoodMessages(1));
  ASSERT_EQ(snapshots.size(), 1U);
  ExpectExact(*snapshots[0]);
  EXPECT_TRUE(failures_.empty());
}

TEST_F(FaultyProducerTest, ProducerKilledAtAnyMessageLeavesNothingHalfPublished) {
  const std::vector<WireMessage> messages = GoodMessages(1);
  ASSERT_GT(messages.size(), 8U);
  for (std::size_t sent = 0; sent < messages.size(); ++sent) {
    EXPECT_TRUE(
        Receive({messages.begin(), messages.begin() + static_cast<std::ptrdiff_t>(sent)}).empty())
        << "killed after " << sent << " messages";
  }
}

TEST_F(FaultyProducerTest, CorruptedSnapshotIsRefusedAndTheNextOneIsTaken) {
  std::vector<WireMessage> messages = GoodMessages(1);
  std::get<WireChunk>(messages[2]).bytes[17] ^= std::byte{1};
  for (WireMessage& message : GoodMessages(2)) messages.push_back(std::move(message));
  const auto snapshots = Receive(messages);
  ASSERT_EQ(snapshots.size(), 1U);
  EXPECT_EQ(snapshots[0]->header.id.version, 2U);
  ExpectExact(*snapshots[0]);
  ASSERT_EQ(failures_.size(), 1U) << "one refusal per snapshot, whatever follows it";
  EXPECT_TRUE(absl::IsDataLoss(failures_[0]));
  EXPECT_EQ(channel_->stats().snapshots_refused, 1U);
}

TEST_F(FaultyProducerTest, SnapshotOfAnotherSessionIsRefused) {
  std::vector<v1::SubscribeContextsResponse> script;
  std::vector<WireMessage> messages = GoodMessages(1);
  fakes::RecordingReceiver receiver;
  for (const WireMessage& message : messages)
    script.push_back(ToWire(message, static_cast<uint32_t>(messages.size()) - 2));
  script[0].mutable_header()->mutable_id()->set_session("truck");
  producer_.Play(script);
  ASSERT_TRUE(channel_
                  ->Attach({.session = 1,
                            .episode = 1,
                            .epoch = kEpoch,
                            .session_name = kSession,
                            .model_revision = kRevision},
                           &receiver)
                  .ok());
  ASSERT_TRUE(receiver.WaitForLinkTimes(context::LinkState::kDown, 1));
  EXPECT_TRUE(receiver.snapshots().empty());
  ASSERT_EQ(receiver.failures().size(), 1U);
  EXPECT_TRUE(absl::IsInvalidArgument(receiver.failures()[0]));
  channel_->Detach(1);
}

// A reference can name anything: what is not held, or not the same bytes, is a refusal by type.
TEST_F(FaultyProducerTest, WrongReferencesAreRefusedByTypeAndTheStreamGoesOn) {
  const auto script_of = [](uint64_t version) {
    std::vector<v1::SubscribeContextsResponse> script;
    uint32_t chunks = 0;
    for (const WireMessage& message : GoodMessages(version)) {
      chunks += std::holds_alternative<WireChunk>(message) ? 1 : 0;
      script.push_back(ToWire(message, chunks));
    }
    return script;
  };
  const auto refer = [](v1::SubscribeContextsResponse& message, uint64_t version) {
    v1::SnapshotChunk* const chunk = message.mutable_chunk();
    chunk->mutable_reuse()->set_length_bytes(chunk->data().size());
    chunk->mutable_reuse()->set_version(version);
    chunk->clear_data();
  };
  std::vector<v1::SubscribeContextsResponse> script = script_of(1);
  auto second = script_of(2), third = script_of(3), fourth = script_of(4), fifth = script_of(5);
  refer(second.at(1), 7);  // never sent
  refer(third.at(1), 1);   // held before the refusal, and no longer
  refer(fifth.at(1), 4);   // held, with other bytes
  for (const auto& more : {second, third, fourth, fifth}) {
    script.insert(script.end(), more.begin(), more.end());
  }
  producer_.Play(script);
  fakes::RecordingReceiver receiver;
  ASSERT_TRUE(channel_
                  ->Attach({.session = 1,
                            .episode = 1,
                            .epoch = kEpoch,
                            .session_name = kSession,
                            .model_revision = kRevision},
                           &receiver)
                  .ok());
  ASSERT_TRUE(receiver.WaitForLinkTimes(context::LinkState::kDown, 1));
  ASSERT_EQ(receiver.snapshots().size(), 2U);
  for (const auto& snapshot : receiver.snapshots()) ExpectExact(*snapshot);
  EXPECT_EQ(receiver.snapshots()[1]->header.id.version, 4U);
  ASSERT_EQ(receiver.failures().size(), 3U);
  EXPECT_TRUE(absl::IsFailedPrecondition(receiver.failures()[0])) << receiver.failures()[0];
  EXPECT_TRUE(absl::IsFailedPrecondition(receiver.failures()[1])) << receiver.failures()[1];
  EXPECT_TRUE(absl::IsDataLoss(receiver.failures()[2])) << receiver.failures()[2];
  EXPECT_EQ(channel_->stats().bytes_reused, 0U);
  channel_->Detach(1);
}

TEST_F(FaultyProducerTest, SeededFaultsNeverPublishOtherBytes) {
  constexpr uint64_t kSeeds = 60;
  int published = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const auto plan = faults::FaultPlan::FromSeed(seed);
    SCOPED_TRACE(plan.ToString());
    for (const auto& snapshot : Receive(plan.Apply(GoodMessages(1)))) {
      ExpectExact(*snapshot);
      ++published;
    }
  }
  EXPECT_LT(published, static_cast<int>(kSeeds)) << "most plans damage something";
}

}  // namespace
}  // namespace automot
