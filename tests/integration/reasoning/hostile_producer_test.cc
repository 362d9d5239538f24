// The shared-memory lane against a producer that describes what is not so: every refusal has its
// reason, nothing is published, and the next good snapshot is taken.
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "automot/v1/reasoning_service.grpc.pb.h"
#include "common/context/chunk_hash.h"
#include "common/context/kv_buffer_pool.h"
#include "common/conversion/snapshot_header.h"
#include "common/conversion/snapshot_trailer.h"
#include "common/logging/log.h"
#include "common/shared_memory/region_server.h"
#include "services/planning/lane/grpc_snapshot_channel.h"
#include "tests/fakes/recording_receiver.h"
#include "tests/unit/common/context/snapshot_fixture.h"
#include "tests/unit/common/shared_memory/socket_folder.h"

namespace automot {
namespace {

using v1::SubscribeContextsResponse;

// What becomes of one snapshot's messages on their way out: header, layers, trailer.
using Change = std::function<void(std::vector<SubscribeContextsResponse>&)>;

// Lends real regions, and describes them as each change says; then an honest one.
class HostileProducer final : public v1::ReasoningService::Service {
 public:
  explicit HostileProducer(const std::string& socket)
      : regions_(shared_memory::RegionServer::Start({.path = socket}).value()) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~HostileProducer() override { server_->Shutdown(std::chrono::system_clock::now()); }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  void Play(std::vector<Change> changes) {
    const absl::MutexLock lock(&mutex_);
    changes_ = std::move(changes);
  }

  grpc::Status GetReasoningStatus(grpc::ServerContext*, const v1::GetReasoningStatusRequest*,
                                  v1::GetReasoningStatusResponse* response) override {
    response->set_shared_memory_socket(regions_->path());
    response->set_shared_memory_producer(regions_->producer());
    return grpc::Status::OK;
  }
  grpc::Status SubscribeContexts(grpc::ServerContext* call,
                                 const v1::SubscribeContextsRequest* request,
                                 grpc::ServerWriter<SubscribeContextsResponse>* out) override {
    const auto loans =
        regions_->Open(request->shared_memory_token(), request->shared_memory_subscription());
    if (!loans.ok()) return {grpc::StatusCode::FAILED_PRECONDITION, "no loans"};
    SubscribeContextsResponse attached;
    attached.mutable_attached()->set_epoch(request->epoch());
    attached.mutable_attached()->set_shared_memory_subscription((*loans)->number());
    attached.mutable_attached()->set_shared_memory_snapshots(12);
    out->Write(attached);
    std::vector<Change> changes;
    {
      const absl::MutexLock lock(&mutex_);
      changes = changes_;
    }
    uint64_t version = 0;
    for (const Change& change : changes) {
      std::vector<SubscribeContextsResponse> messages = Lend(**loans, ++version, *request);
      change(messages);
      for (const auto& message : messages) out->Write(message);
    }
    while (!call->IsCancelled()) std::this_thread::yield();
    return grpc::Status::OK;
  }

 private:
  std::vector<SubscribeContextsResponse> Lend(shared_memory::RegionLoans& loans, uint64_t version,
                                              const v1::SubscribeContextsRequest& request) {
    auto snapshot = std::make_shared<context::ContextSnapshot>();
    snapshot->header = context::SmallHeader();
    snapshot->header.id = {.episode = 1, .epoch = request.epoch(), .version = version};
    snapshot->kv = pool_.Acquire(context::kSmallLayout).value();
    for (int layer = 0; layer < context::kSmallLayout.layers; ++layer) {
      for (const auto tensor : {context::TensorKind::kKey, context::TensorKind::kValue}) {
        std::ranges::fill(snapshot->kv.Tensor(layer, tensor), std::byte(version));
      }
    }
    EXPECT_EQ(loans.Lend(snapshot), shared_memory::LendOutcome::kLent);
    std::vector<SubscribeContextsResponse> messages(3);
    v1::SnapshotHeader* const header = messages[0].mutable_header();
    conversion::SnapshotHeaderToProto(snapshot->header, request.session(), header);
    const context::RegionPlace& place = *snapshot->kv.place();
    header->mutable_shared_place()->set_region(place.region->number());
    header->mutable_shared_place()->set_generation(place.generation);
    header->mutable_shared_place()->set_length_bytes(context::kSmallLayout.total_bytes());
    context::ManifestHasher hasher(snapshot->header, request.session());
    auto chunks = context::PlanChunks(context::kSmallLayout, context::kMinChunkBytes);
    for (context::ChunkSpec& chunk : chunks) {
      chunk.hash = context::HashChunk(std::as_const(snapshot->kv)
                                          .Tensor(static_cast<int>(chunk.layer), chunk.tensor)
                                          .subspan(chunk.offset_bytes, chunk.bytes));
      hasher.Add(chunk);
      v1::SharedChunk* const shared = messages[1].mutable_shared_layers()->add_chunks();
      shared->set_layer(chunk.layer);
      shared->set_values(chunk.tensor == context::TensorKind::kValue);
      shared->set_offset_bytes(chunk.offset_bytes);
      shared->set_length_bytes(chunk.bytes);
      shared->set_hash(chunk.hash);
    }
    conversion::SnapshotTrailerToProto({.digest = hasher.Finish(std::nullopt)}, snapshot->header.id,
                                       request.session(), static_cast<uint32_t>(chunks.size()),
                                       messages[2].mutable_trailer());
    return messages;
  }

  context::KvBufferPool pool_{{.byte_budget = std::size_t{64} << 20,
                               .prefault = false,
                               .backing = context::KvBufferPool::Backing::kSharedRegion}};
  const std::unique_ptr<shared_memory::RegionServer> regions_;
  absl::Mutex mutex_;
  std::vector<Change> changes_ ABSL_GUARDED_BY(mutex_);
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

v1::SharedPlace& PlaceOf(std::vector<SubscribeContextsResponse>& messages) {
  return *messages[0].mutable_header()->mutable_shared_place();
}
v1::SharedChunk& ChunkOf(std::vector<SubscribeContextsResponse>& messages, int index) {
  return *messages[1].mutable_shared_layers()->mutable_chunks(index);
}

struct Case {
  const char* refusal;
  Change change;
};

std::vector<Case> Cases() {
  return {
      {"out_of_bounds", [](auto& m) { PlaceOf(m).set_offset_bytes(~uint64_t{0} - 63); }},
      {"out_of_bounds", [](auto& m) { PlaceOf(m).set_offset_bytes(4); }},
      {"out_of_bounds", [](auto& m) { PlaceOf(m).set_length_bytes(64); }},
      {"stale_generation", [](auto& m) { PlaceOf(m).set_generation(0); }},
      {"unknown_region", [](auto& m) { PlaceOf(m).set_region(1'000'000); }},
      {"malformed", [](auto& m) { m[0].mutable_header()->clear_shared_place(); }},
      {"malformed", [](auto& m) { m[2].mutable_trailer()->set_chunk_count(1); }},
      {"chunk_hash", [](auto& m) { ChunkOf(m, 2).set_hash(ChunkOf(m, 2).hash() + 1); }},
      {"chunk_bounds", [](auto& m) { ChunkOf(m, 1).set_length_bytes(~uint64_t{0}); }},
      {"chunk_bounds", [](auto& m) { ChunkOf(m, 0).set_layer(255); }},
      {"duplicate_chunk", [](auto& m) { ChunkOf(m, 3) = ChunkOf(m, 2); }},
      {"missing_chunk",
       [](auto& m) { m[1].mutable_shared_layers()->mutable_chunks()->DeleteSubrange(1, 1); }},
      {"incomplete",
       [](auto& m) {
         m[1].mutable_shared_layers()->mutable_chunks()->RemoveLast();
         m[2].mutable_trailer()->set_chunk_count(
             static_cast<uint32_t>(m[1].shared_layers().chunks_size()));
       }},
      {"digest", [](auto& m) { m[0].mutable_header()->set_capture_time_us(7); }},
      {"unexpected",
       [](auto& m) {  // bytes by value, into memory that cannot be written
         SubscribeContextsResponse chunk;
         chunk.mutable_chunk()->set_data(std::string(context::kMinChunkBytes, 'x'));
         m.insert(m.begin() + 1, chunk);
       }},
  };
}

TEST(HostileProducerTest, EveryLieIsRefusedByItsNameAndTheNextSnapshotIsTaken) {
  logging::SetSink([](std::string_view) {});
  const shared_memory::SocketFolder folder;
  HostileProducer producer(folder.Path());
  planning::GrpcSnapshotChannelOptions options;
  options.addresses = {producer.address()};
  options.lane = context::Lane::kSharedMemory;
  options.pool.prefault = false;
  const auto channel = planning::GrpcSnapshotChannel::Create(options).value();
  uint64_t epoch = 0;
  for (const Case& hostile : Cases()) {
    const auto at = std::ranges::find(context::kLinkRefusals, std::string_view(hostile.refusal));
    const auto reason = static_cast<std::size_t>(at - context::kLinkRefusals.begin());
    const uint64_t before = channel->stats().refusals.at(reason);
    producer.Play({[](auto&) {}, hostile.change, [](auto&) {}});
    fakes::RecordingReceiver receiver;
    ASSERT_TRUE(channel
                    ->Attach({.session = 1,
                              .episode = 1,
                              .epoch = ++epoch,
                              .session_name = "car",
                              .model_revision = "revision"},
                             &receiver)
                    .ok());
    ASSERT_TRUE(receiver.WaitForSnapshots(2)) << hostile.refusal;
    ASSERT_TRUE(receiver.WaitForFailures(1)) << hostile.refusal;
    EXPECT_EQ(channel->stats().refusals.at(reason), before + 1)
        << hostile.refusal << ": " << receiver.failures()[0];
    EXPECT_EQ(receiver.snapshots()[0]->header.id.version, 1U);
    EXPECT_EQ(receiver.snapshots()[1]->header.id.version, 3U) << hostile.refusal;
    EXPECT_EQ(receiver.snapshots()[1]->kv.bytes()[0], std::byte{3});
    channel->Detach(1);
  }
  logging::SetSink(nullptr);
}

}  // namespace
}  // namespace automot
