// Snapshots whose bytes are where they stay: verified in place, from memory that cannot be written.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "common/context/kv_buffer_pool.h"
#include "common/context/snapshot_assembler.h"
#include "common/context/snapshot_channel.h"
#include "tests/unit/common/context/snapshot_fixture.h"

namespace automot::context {
namespace {

class MappedAssemblyTest : public testing::Test {
 protected:
  MappedAssemblyTest() {
    auto copy = std::make_shared<ContextSnapshot>();
    const SnapshotPtr original = SmallSnapshot();
    copy->header = original->header;
    copy->decision = original->decision;
    copy->kv = regions_.Acquire(kSmallLayout).value();
    for (int layer = 0; layer < kSmallLayout.layers; ++layer) {
      for (TensorKind tensor : {TensorKind::kKey, TensorKind::kValue}) {
        std::ranges::copy(original->kv.Tensor(layer, tensor),
                          copy->kv.Tensor(layer, tensor).begin());
      }
    }
    producer_ = std::move(copy);
    manifest_ = BuildManifest(*producer_, kMinChunkBytes);
  }
  // A read-only mapping of the producer's bytes, as a consumer has it.
  KvBuffer Mapped() const {
    const MemoryRegion& region = *producer_->kv.place()->region;
    auto mapped =
        MappedRegion::Map(UniqueDescriptor(dup(region.descriptor())), region.bytes().size())
            .value();
    const auto bytes = mapped->bytes();
    return KvBuffer::Adopt(kSmallLayout, {const_cast<std::byte*>(bytes.data()), bytes.size()},
                           std::const_pointer_cast<MappedRegion>(mapped))
        .value();
  }
  absl::Status Begin(bool keep) {
    KvBuffer mapped = Mapped();
    mapped_bytes_ = mapped.bytes().data();
    return assembler_.BeginMapped(SmallHeader(), SmallExpectation(), std::move(mapped), keep);
  }
  absl::Status AddAll() {
    for (const ChunkSpec& chunk : manifest_.chunks) {
      if (absl::Status status = assembler_.AddMapped(chunk); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  KvBufferPool regions_{{.byte_budget = 16 << 20,
                         .prefault = false,
                         .backing = KvBufferPool::Backing::kSharedRegion}};
  KvBufferPool pool_{{.byte_budget = 16 << 20, .prefault = false}};
  SnapshotAssembler assembler_{&pool_};
  SnapshotPtr producer_;
  SnapshotManifest manifest_;
  const std::byte* mapped_bytes_ = nullptr;
};

TEST_F(MappedAssemblyTest, NothingIsCopiedAndNoPooledBufferIsTaken) {
  ASSERT_TRUE(Begin(true).ok());
  ASSERT_TRUE(AddAll().ok());
  const auto snapshot = assembler_.Finish(manifest_.trailer);
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  EXPECT_EQ((*snapshot)->kv.bytes().data(), mapped_bytes_);
  EXPECT_TRUE(std::ranges::equal((*snapshot)->kv.bytes(), producer_->kv.bytes()));
  EXPECT_EQ(pool_.stats().maps, 0U);
}

TEST_F(MappedAssemblyTest, WhatCannotBeKeptIsCopiedOnceAndLetGo) {
  ASSERT_TRUE(Begin(false).ok());
  ASSERT_TRUE(AddAll().ok());
  const auto snapshot = assembler_.Finish(manifest_.trailer);
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  EXPECT_NE((*snapshot)->kv.bytes().data(), mapped_bytes_);
  EXPECT_EQ(pool_.stats().lent_buffers, 1U);
  for (int layer = 0; layer < kSmallLayout.layers; ++layer) {
    EXPECT_TRUE(std::ranges::equal((*snapshot)->kv.Tensor(layer, TensorKind::kValue),
                                   producer_->kv.Tensor(layer, TensorKind::kValue)));
  }
}

TEST_F(MappedAssemblyTest, OneChangedByteIsFound) {
  for (const bool keep : {true, false}) {
    ASSERT_TRUE(Begin(keep).ok());
    std::byte& byte =
        producer_->kv.place()->region->bytes()[kSmallLayout.offset_bytes(2, TensorKind::kKey) + 77];
    byte ^= std::byte{4};
    EXPECT_TRUE(absl::IsDataLoss(AddAll()));
    EXPECT_EQ(assembler_.last_refusal(), AssemblyRefusal::kChunkHash);
    byte ^= std::byte{4};
    EXPECT_FALSE(assembler_.in_progress());
  }
}

TEST_F(MappedAssemblyTest, ChunksByValueNeverTouchAMapping) {
  ASSERT_TRUE(Begin(true).ok());
  const ChunkSpec& chunk = manifest_.chunks.front();
  const auto bytes = std::as_const(producer_->kv)
                         .Tensor(static_cast<int>(chunk.layer), chunk.tensor)
                         .first(chunk.bytes);
  EXPECT_TRUE(absl::IsFailedPrecondition(assembler_.Add(chunk, bytes)));
  EXPECT_EQ(assembler_.last_refusal(), AssemblyRefusal::kUnexpected);
  ASSERT_TRUE(assembler_.Begin(SmallHeader(), SmallExpectation()).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(assembler_.AddMapped(chunk)));
}

TEST_F(MappedAssemblyTest, ChunksOutsideTheirTensorAreRefused) {
  for (const auto change :
       {+[](ChunkSpec& c) { c.layer = 3; }, +[](ChunkSpec& c) { c.bytes += 64; },
        +[](ChunkSpec& c) { c.offset_bytes = ~uint64_t{0}; },
        +[](ChunkSpec& c) { c.bytes = ~uint64_t{0}; },
        +[](ChunkSpec& c) { c.tensor = static_cast<TensorKind>(7); }}) {
    ASSERT_TRUE(Begin(true).ok());
    ChunkSpec chunk = manifest_.chunks.back();
    change(chunk);
    EXPECT_FALSE(assembler_.AddMapped(chunk).ok());
    EXPECT_FALSE(assembler_.in_progress());
  }
  ASSERT_TRUE(Begin(true).ok());
  EXPECT_TRUE(absl::IsDataLoss(assembler_.AddMapped(manifest_.chunks[1]))) << "out of order";
}

TEST_F(MappedAssemblyTest, AnotherLayoutThanTheMappingsIsRefused) {
  SnapshotHeader header = SmallHeader();
  header.layout.tokens -= 1;
  SnapshotExpectation expected = SmallExpectation();
  expected.layout = header.layout;
  EXPECT_TRUE(absl::IsInvalidArgument(assembler_.BeginMapped(header, expected, Mapped(), true)));
  EXPECT_TRUE(absl::IsInvalidArgument(
      assembler_.BeginMapped(SmallHeader(), SmallExpectation(), KvBuffer(), true)));
}

TEST(LinkRefusals, NameEveryRefusalOfTheAssembler) {
  int named = 0;
  for (uint8_t i = 1; std::string_view(ToString(static_cast<AssemblyRefusal>(i))) != "unknown";
       ++i) {
    const std::string_view name = ToString(static_cast<AssemblyRefusal>(i));
    if (name == "replaced") continue;  // counted only, and no refusal of the new one
    EXPECT_NE(std::ranges::find(kLinkRefusals, name), kLinkRefusals.end()) << name;
    ++named;
  }
  EXPECT_GE(named, 12);
}

}  // namespace
}  // namespace automot::context
