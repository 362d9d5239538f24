#include "services/reasoning/snapshot_outbox.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "common/context/chunk_hash.h"
#include "services/reasoning/snapshot_wire.h"

namespace automot::reasoning {
namespace {

constexpr int kLayers = 3;

std::shared_ptr<context::ContextSnapshot> Snapshot(uint64_t version) {
  auto snapshot = std::make_shared<context::ContextSnapshot>();
  snapshot->header.id = {.session = 1, .episode = 1, .epoch = 1, .version = version};
  snapshot->header.layout = {
      .layers = kLayers, .tokens = 10, .kv_heads = 1, .k_head_dim = 8, .v_head_dim = 4};
  snapshot->kv = *context::KvBuffer::Allocate(snapshot->header.layout);
  for (int layer = 0; layer < kLayers; ++layer) {
    for (const auto tensor : {context::TensorKind::kKey, context::TensorKind::kValue}) {
      for (std::byte& byte : snapshot->kv.Tensor(layer, tensor))
        byte = static_cast<std::byte>(version + layer);
    }
  }
  return snapshot;
}

uint64_t Version(const std::optional<OutboxItem>& item) {
  if (const auto* header = std::get_if<OutboxHeader>(&*item))
    return header->snapshot->header.id.version;
  if (const auto* trailer = std::get_if<OutboxTrailer>(&*item))
    return trailer->snapshot->header.id.version;
  if (const auto* chunk = std::get_if<OutboxChunk>(&*item))
    return chunk->snapshot->header.id.version;
  return 0;
}

// Sends until nothing is left; returns the versions whose trailer went out.
std::vector<uint64_t> SendAll(SnapshotOutbox& outbox) {
  std::vector<uint64_t> versions;
  while (const auto item = outbox.Next()) {
    if (std::holds_alternative<OutboxTrailer>(*item)) versions.push_back(Version(item));
  }
  return versions;
}

TEST(SnapshotOutbox, LayersGoAsTheyComeAndTheTrailerLast) {
  SnapshotOutbox outbox({.session_name = "car"});
  const auto snapshot = Snapshot(1);
  EXPECT_FALSE(outbox.Next());
  outbox.OnLayers(snapshot, 1);
  EXPECT_TRUE(std::holds_alternative<OutboxHeader>(*outbox.Next()));
  EXPECT_EQ(std::get<OutboxChunk>(*outbox.Next()).chunk.tensor, context::TensorKind::kKey);
  EXPECT_EQ(std::get<OutboxChunk>(*outbox.Next()).chunk.tensor, context::TensorKind::kValue);
  EXPECT_FALSE(outbox.Next()) << "layer 1 is not ready";
  outbox.OnLayers(snapshot, 3);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(std::holds_alternative<OutboxChunk>(*outbox.Next()));
  EXPECT_FALSE(outbox.Next()) << "the decision is not there";
  outbox.OnSnapshot(snapshot);
  const OutboxTrailer trailer = std::get<OutboxTrailer>(*outbox.Next());
  EXPECT_EQ(trailer.chunk_count, 6U);
  EXPECT_FALSE(outbox.Next());
}

TEST(SnapshotOutbox, DigestIsTheManifests) {
  SnapshotOutbox outbox({.session_name = "car"});
  const auto snapshot = Snapshot(1);
  snapshot->decision.emplace();
  snapshot->decision->slot_count = 1;
  snapshot->decision->slots[2].time_us = 5;  // beyond the count: not on the wire
  outbox.OnSnapshot(snapshot);
  context::ManifestHasher hasher(snapshot->header, "car");
  std::optional<Decision> sent = Decision{};
  sent->slot_count = 1;
  while (const auto item = outbox.Next()) {
    if (const auto* chunk = std::get_if<OutboxChunk>(&*item)) hasher.Add(chunk->chunk);
    if (const auto* trailer = std::get_if<OutboxTrailer>(&*item)) {
      EXPECT_EQ(trailer->trailer.digest, hasher.Finish(sent));
    }
  }
}

TEST(SnapshotOutbox, StalledConsumerHoldsTwoSnapshotsAndGetsTheNewest) {
  SnapshotOutbox outbox({});
  std::vector<std::weak_ptr<context::ContextSnapshot>> alive;
  for (uint64_t version = 1; version <= 5; ++version) {
    const auto snapshot = Snapshot(version);
    alive.push_back(snapshot);
    outbox.OnSnapshot(snapshot);
    if (version == 1) outbox.Next();  // its header is on the wire, then the consumer stalls
  }
  EXPECT_EQ(outbox.replaced(), 3U);
  EXPECT_FALSE(outbox.HasRoom());
  EXPECT_FALSE(alive[0].expired());
  EXPECT_TRUE(alive[1].expired() && alive[2].expired() && alive[3].expired());
  EXPECT_EQ(SendAll(outbox), (std::vector<uint64_t>{1, 5}));
  EXPECT_TRUE(outbox.HasRoom());
}

TEST(SnapshotOutbox, FailedRefreshAbandonsItsSnapshot) {
  SnapshotOutbox outbox({});
  outbox.OnLayers(Snapshot(1), 1);
  outbox.Next();
  outbox.OnRefreshFailed(77, absl::InternalError("x"));
  const OutboxFailure failure = std::get<OutboxFailure>(*outbox.Next());
  EXPECT_EQ(failure.capture_time_us, 77);
  outbox.OnSnapshot(Snapshot(2));
  EXPECT_EQ(SendAll(outbox), std::vector<uint64_t>{2});
}

TEST(SnapshotOutbox, FailureNeverSplitsACompleteSnapshot) {
  SnapshotOutbox outbox({});
  outbox.OnSnapshot(Snapshot(1));
  outbox.Next();
  outbox.OnRefreshFailed(77, absl::InternalError("x"));
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(std::holds_alternative<OutboxChunk>(*outbox.Next()));
  EXPECT_TRUE(std::holds_alternative<OutboxTrailer>(*outbox.Next()));
  EXPECT_TRUE(std::holds_alternative<OutboxFailure>(*outbox.Next()));
}

TEST(SnapshotOutbox, DecisionsAloneAreHeaderAndTrailer) {
  SnapshotOutbox outbox({.layers = false});
  const auto snapshot = Snapshot(1);
  outbox.OnLayers(snapshot, 3);
  EXPECT_FALSE(outbox.Next());
  outbox.OnSnapshot(snapshot);
  EXPECT_TRUE(std::holds_alternative<OutboxHeader>(*outbox.Next()));
  EXPECT_EQ(std::get<OutboxTrailer>(*outbox.Next()).chunk_count, 0U);
}

// Large enough to be referred to: rows of 256 bytes of keys and 128 of values.
std::shared_ptr<context::ContextSnapshot> Wide(uint64_t version, int first_changed) {
  auto snapshot = std::make_shared<context::ContextSnapshot>();
  snapshot->header.id = {.session = 1, .episode = 1, .epoch = 1, .version = version};
  snapshot->header.layout = {
      .layers = kLayers, .tokens = 100, .kv_heads = 1, .k_head_dim = 64, .v_head_dim = 32};
  snapshot->kv = *context::KvBuffer::Allocate(snapshot->header.layout);
  for (int layer = 0; layer < kLayers; ++layer) {
    for (const auto tensor : {context::TensorKind::kKey, context::TensorKind::kValue}) {
      const auto bytes = snapshot->kv.Tensor(layer, tensor);
      const std::size_t changed = first_changed * snapshot->header.layout.row_bytes(tensor);
      std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(changed), bytes.end(),
                static_cast<std::byte>(version));
    }
  }
  return snapshot;
}

// Sends one snapshot; returns its chunks.
std::vector<OutboxChunk> SendChunks(SnapshotOutbox& outbox,
                                    const std::shared_ptr<context::ContextSnapshot>& snapshot) {
  outbox.OnSnapshot(snapshot);
  std::vector<OutboxChunk> chunks;
  context::ManifestHasher hasher(snapshot->header, "car");
  while (const auto item = outbox.Next()) {
    if (const auto* chunk = std::get_if<OutboxChunk>(&*item)) {
      chunks.push_back(*chunk);
      hasher.Add(chunk->chunk);
    } else if (const auto* trailer = std::get_if<OutboxTrailer>(&*item)) {
      EXPECT_EQ(trailer->chunk_count, chunks.size());
      EXPECT_EQ(trailer->trailer.digest, hasher.Finish(std::nullopt)) << "references are covered";
    }
  }
  return chunks;
}

int References(const std::vector<OutboxChunk>& chunks) {
  return static_cast<int>(std::count_if(chunks.begin(), chunks.end(),
                                        [](const OutboxChunk& c) { return c.reuse_version > 0; }));
}

TEST(SnapshotOutboxReuse, RefersToTheLastSnapshotOnceTheConsumerHoldsIt) {
  SnapshotOutbox outbox({.session_name = "car", .reuse = true});
  EXPECT_EQ(References(SendChunks(outbox, Wide(1, 0))), 0);
  EXPECT_EQ(References(SendChunks(outbox, Wide(2, 60))), 0) << "not said to be held yet";
  outbox.SetHeld(2);
  const auto chunks = SendChunks(outbox, Wide(3, 60));
  ASSERT_EQ(chunks.size(), 12U);
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const bool value = chunks[i].chunk.tensor == context::TensorKind::kValue;
    const uint64_t shared = value ? 60 * 128 : 60 * 256;
    EXPECT_EQ(chunks[i].reuse_version, i % 2 == 0 ? 2U : 0U);
    EXPECT_EQ(chunks[i].chunk.offset_bytes, i % 2 == 0 ? 0U : shared);
    EXPECT_EQ(chunks[i].chunk.bytes, i % 2 == 0 ? shared : (value ? 12'800U : 25'600U) - shared);
  }
  EXPECT_EQ(outbox.reused_bytes(), 3U * 60 * (256 + 128));
}

TEST(SnapshotOutboxReuse, SendsEverythingWhereTheConsumerHoldsAnotherOneOrNothing) {
  SnapshotOutbox outbox({.session_name = "car", .reuse = true});
  SendChunks(outbox, Wide(1, 60));
  outbox.SetHeld(1);
  EXPECT_EQ(References(SendChunks(outbox, Wide(2, 60))), 6);
  EXPECT_EQ(References(SendChunks(outbox, Wide(3, 60))), 0) << "holds 1, the last sent is 2";
  outbox.SetHeld(3);
  outbox.SetHeld(0);  // it lost what it held
  EXPECT_EQ(References(SendChunks(outbox, Wide(4, 60))), 0);
  outbox.SetHeld(4);
  const auto next_episode = Wide(5, 60);
  next_episode->header.id.episode = 2;
  EXPECT_EQ(References(SendChunks(outbox, next_episode)), 0);
  outbox.SetHeld(5);
  const auto quantised = Wide(6, 60);
  quantised->header.id.episode = 2;
  quantised->header.layout.element_type = context::ContextLayout::ElementType::kBFloat16;
  quantised->kv = *context::KvBuffer::Allocate(quantised->header.layout);
  EXPECT_EQ(References(SendChunks(outbox, quantised)), 0) << "rows of another shape";
}

TEST(SnapshotOutboxReuse, HoldsOneSnapshotMoreAndNoneWithoutReuse) {
  for (const bool reuse : {false, true}) {
    SnapshotOutbox outbox({.session_name = "car", .reuse = reuse});
    std::weak_ptr<context::ContextSnapshot> first, second;
    {
      const auto snapshot = Wide(1, 0);
      first = snapshot;
      SendChunks(outbox, snapshot);
    }
    EXPECT_EQ(first.expired(), !reuse);
    {
      const auto snapshot = Wide(2, 0);
      second = snapshot;
      SendChunks(outbox, snapshot);
    }
    EXPECT_TRUE(first.expired());
    outbox.Clear();
    EXPECT_TRUE(second.expired());
  }
}

TEST(SnapshotWire, AReferenceIsAMessageWithoutBytes) {
  const OutboxChunk item{
      .snapshot = Wide(3, 60), .chunk = {.layer = 2, .bytes = 4096, .hash = 5}, .reuse_version = 2};
  grpc::ByteBuffer buffer = Serialize(item, "car");
  grpc::Slice slice;
  ASSERT_TRUE(buffer.DumpToSingleSlice(&slice).ok());
  v1::SubscribeContextsResponse message;
  ASSERT_TRUE(message.ParseFromArray(slice.begin(), static_cast<int>(slice.size())));
  EXPECT_EQ(message.chunk().layer(), 2U);
  EXPECT_EQ(message.chunk().reuse().version(), 2U);
  EXPECT_EQ(message.chunk().reuse().length_bytes(), 4096U);
  EXPECT_TRUE(message.chunk().data().empty());
}

TEST(SnapshotWire, ChunkIsAnOrdinaryMessageAndBorrowsItsBytes) {
  auto snapshot = Snapshot(1);
  const std::weak_ptr<context::ContextSnapshot> alive = snapshot;
  const auto* bytes = snapshot->kv.Tensor(2, context::TensorKind::kValue).data();
  context::ChunkSpec chunk = {.layer = 2,
                              .tensor = context::TensorKind::kValue,
                              .offset_bytes = 64,
                              .bytes = 96,
                              .hash = 5};
  grpc::ByteBuffer buffer = Serialize(OutboxChunk{std::move(snapshot), chunk}, "car");
  EXPECT_FALSE(alive.expired()) << "the buffer keeps the snapshot";
  std::vector<grpc::Slice> slices;
  ASSERT_TRUE(buffer.Dump(&slices).ok());
  ASSERT_EQ(slices.size(), 2U);
  EXPECT_EQ(reinterpret_cast<const std::byte*>(slices[1].begin()), bytes + 64) << "no copy";
  std::string joined;
  for (const grpc::Slice& slice : slices)
    joined.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  v1::SubscribeContextsResponse message;
  ASSERT_TRUE(message.ParseFromString(joined));
  EXPECT_EQ(message.chunk().layer(), 2U);
  EXPECT_TRUE(message.chunk().values());
  EXPECT_EQ(message.chunk().offset_bytes(), 64U);
  EXPECT_EQ(message.chunk().hash(), 5U);
  EXPECT_EQ(message.chunk().data(), std::string(96, '\x03'));
  slices.clear();
  buffer.Clear();
  EXPECT_TRUE(alive.expired());
}

// A consumer of shared memory that takes `room` snapshots.
struct Borrower {
  shared_memory::LendOutcome Lend(const context::SnapshotPtr& snapshot) {
    if (gone) return shared_memory::LendOutcome::kEnded;
    if (room == 0) return shared_memory::LendOutcome::kNoRoom;
    --room;
    lent.push_back(snapshot->header.id.version);
    return shared_memory::LendOutcome::kLent;
  }
  SnapshotOutbox::Options Options() {
    return {.session_name = "car", .lend = [this](const auto& snapshot) { return Lend(snapshot); }};
  }

  int room = 1;
  bool gone = false;
  std::vector<uint64_t> lent;
};

TEST(SharedOutbox, LayersThatAreReadyAreDescribedTogether) {
  Borrower borrower;
  SnapshotOutbox outbox(borrower.Options());
  const auto snapshot = Snapshot(1);
  outbox.OnLayers(snapshot, 1);
  EXPECT_TRUE(std::get<OutboxHeader>(*outbox.Next()).lent);
  EXPECT_EQ(std::get<OutboxSharedLayers>(*outbox.Next()).chunks.size(), 2U);
  EXPECT_FALSE(outbox.Next()) << "layer 1 is not ready";
  outbox.OnLayers(snapshot, 3);
  const auto layers = std::get<OutboxSharedLayers>(*outbox.Next());
  ASSERT_EQ(layers.chunks.size(), 4U);
  EXPECT_EQ(layers.chunks[0].hash,
            context::HashChunk(std::as_const(snapshot->kv).Tensor(1, context::TensorKind::kKey)));
  outbox.OnSnapshot(snapshot);
  EXPECT_EQ(std::get<OutboxTrailer>(*outbox.Next()).chunk_count, 6U);
  EXPECT_EQ(borrower.lent, (std::vector<uint64_t>{1}));
}

TEST(SharedOutbox, WithoutRoomTheHeaderWaitsAndTheNewestWins) {
  Borrower borrower;
  SnapshotOutbox outbox(borrower.Options());
  outbox.OnSnapshot(Snapshot(1));
  EXPECT_EQ(SendAll(outbox), (std::vector<uint64_t>{1}));
  for (uint64_t version = 2; version <= 9; ++version) {
    outbox.OnSnapshot(Snapshot(version));
    EXPECT_FALSE(outbox.Next());
  }
  EXPECT_FALSE(outbox.HasRoom());
  EXPECT_EQ(outbox.replaced(), 6U);
  borrower.room = 2;
  EXPECT_EQ(SendAll(outbox), (std::vector<uint64_t>{2, 9}));
  EXPECT_EQ(borrower.lent, (std::vector<uint64_t>{1, 2, 9}));
}

TEST(SharedOutbox, AWaitingHeaderLetsFailuresPass) {
  Borrower borrower{.room = 0};
  SnapshotOutbox outbox(borrower.Options());
  outbox.OnLayers(Snapshot(1), 1);
  EXPECT_FALSE(outbox.Next());
  outbox.OnRefreshFailed(5, absl::InternalError("no"));
  EXPECT_TRUE(std::holds_alternative<OutboxFailure>(*outbox.Next()));
  EXPECT_FALSE(outbox.Next());
  EXPECT_TRUE(borrower.lent.empty());
}

TEST(SharedOutbox, SaysWhenNobodyIsLeftToLendTo) {
  Borrower borrower{.gone = true};
  SnapshotOutbox outbox(borrower.Options());
  outbox.OnSnapshot(Snapshot(1));
  EXPECT_FALSE(outbox.borrower_gone());
  EXPECT_FALSE(outbox.Next());
  EXPECT_TRUE(outbox.borrower_gone());
}

}  // namespace
}  // namespace automot::reasoning
