// Assembler, pool and store together: what a planner sees while transfers fail at any byte.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "common/context/snapshot_assembler.h"
#include "common/context/snapshot_store.h"
#include "common/faults/fault_plan.h"
#include "gtest/gtest.h"
#include "tests/unit/common/context/snapshot_fixture.h"

namespace automot::context {
namespace {

using faults::FaultKind;
using faults::FaultPlan;
using faults::WireChunk;
using faults::WireMessage;
using Store = SnapshotStore<SnapshotPtr>;

class SnapshotPathTest : public testing::Test {
 protected:
  void SetUp() override {
    store_ =
        Store::Create({.sessions = 1, .retained = 2, .readers = 1, .pins_per_reader = 2}).value();
    reader_ = store_->RegisterReader("planner").value();
    session_ = store_->Open(9, 2).value();
    ASSERT_TRUE(store_->Fence(session_, 40).ok());
  }

  static SnapshotPtr Version(uint64_t version) {
    const SnapshotPtr base = SmallSnapshot(version);
    auto snapshot = std::make_shared<ContextSnapshot>();
    snapshot->header = base->header;
    snapshot->header.id.version = version;
    snapshot->header.capture_time_us = static_cast<SessionTimeUs>(version) * 500'000;
    snapshot->kv = KvBuffer::Allocate(kSmallLayout).value();
    for (int layer = 0; layer < kSmallLayout.layers; ++layer) {
      for (TensorKind tensor : {TensorKind::kKey, TensorKind::kValue}) {
        std::ranges::copy(base->kv.Tensor(layer, tensor),
                          snapshot->kv.Tensor(layer, tensor).begin());
      }
    }
    return snapshot;
  }

  // What a lane does with the messages of one stream; returns whether anything was published.
  bool Receive(const std::vector<WireMessage>& messages) {
    bool published = false;
    for (const WireMessage& message : messages) {
      if (const auto* header = std::get_if<SnapshotHeader>(&message)) {
        (void)assembler_.Begin(*header, SmallExpectation());
      } else if (const auto* chunk = std::get_if<WireChunk>(&message)) {
        (void)assembler_.Add(chunk->spec, chunk->bytes);
      } else if (auto done = assembler_.Finish(std::get<SnapshotTrailer>(message)); done.ok()) {
        const SnapshotHeader& got = (*done)->header;
        const VersionInfo info{got.id, got.capture_time_us, got.capture_time_us};
        published |= store_->Publish(session_, info, *done) == Rejection::kNone;
      }
    }
    assembler_.Abort();
    return published;
  }

  KvBufferPool pool_{{.byte_budget = std::size_t{4} << 20, .prefault = false}};
  SnapshotAssembler assembler_{&pool_};
  std::unique_ptr<Store> store_;
  ReaderSlot reader_;
  SessionHandle session_;
};

// Promises 2, 8 and 9: the last good version serves on, whole, whatever happens to the ones after
// it.
TEST_F(SnapshotPathTest, TheLastGoodVersionServesThroughEveryFault) {
  ASSERT_TRUE(Receive(faults::Messages(*Version(1), kMinChunkBytes)));
  uint64_t serving = 1;
  int failed = 0;
  for (uint64_t version = 2; version <= 300; ++version) {
    const FaultPlan plan = FaultPlan::FromSeed(version);
    const bool published = Receive(plan.Apply(faults::Messages(*Version(version), kMinChunkBytes)));
    if (published) serving = version;
    failed += published ? 0 : 1;
    const Store::Handle handle = store_->Latest(session_, reader_);
    ASSERT_TRUE(handle) << plan.ToString();
    ASSERT_EQ(handle.id().version, serving) << plan.ToString();
    ASSERT_EQ((*handle)->header.id.version, serving) << plan.ToString();
    const SnapshotPtr original = Version(serving);
    for (int layer = 0; layer < kSmallLayout.layers; ++layer) {
      for (TensorKind tensor : {TensorKind::kKey, TensorKind::kValue}) {
        const std::span<const std::byte> served = (*handle)->kv.Tensor(layer, tensor);
        const std::span<const std::byte> whole = original->kv.Tensor(layer, tensor);
        ASSERT_EQ(served.size(), whole.size());
        ASSERT_EQ(std::memcmp(served.data(), whole.data(), whole.size()), 0) << plan.ToString();
      }
    }
  }
  EXPECT_GT(failed, 150);
  EXPECT_GT(serving, 1U);
}

// Promise 9: a spent budget refuses the new version and keeps the last.
TEST_F(SnapshotPathTest, ASpentBudgetRefusesTheNewVersionAndNeverEvictsTheLast) {
  KvBufferPool tight({.byte_budget = 600 << 10, .prefault = false});
  SnapshotAssembler assembler(&tight);
  ASSERT_TRUE(assembler.Begin(Version(1)->header, SmallExpectation()).ok());
  const auto messages = faults::Messages(*Version(1), kMinChunkBytes);
  for (const WireMessage& message : messages) {
    if (const auto* chunk = std::get_if<WireChunk>(&message)) {
      ASSERT_TRUE(assembler.Add(chunk->spec, chunk->bytes).ok());
    }
  }
  auto first = assembler.Finish(std::get<SnapshotTrailer>(messages.back()));
  ASSERT_TRUE(first.ok());
  const VersionInfo info{(*first)->header.id, 1, 1};
  ASSERT_EQ(store_->Publish(session_, info, *std::move(first)), Rejection::kNone);
  EXPECT_EQ(assembler.Begin(Version(2)->header, SmallExpectation()).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(store_->Latest(session_, reader_).id().version, 1U);
}

// In steady state the store's collection feeds the pool: nothing is mapped after the first few
// versions.
TEST_F(SnapshotPathTest, ReplacedVersionsReturnTheirBuffersToThePool) {
  for (uint64_t version = 1; version <= 50; ++version) {
    ASSERT_TRUE(Receive(faults::Messages(*Version(version), kDefaultChunkBytes)));
  }
  EXPECT_LE(pool_.stats().maps, 4U);
  EXPECT_EQ(pool_.stats().unmaps, 0U);
  EXPECT_EQ(pool_.stats().lent_buffers, 2U);
}

}  // namespace
}  // namespace automot::context
