#include "common/context/snapshot_assembler.h"

#include <algorithm>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/faults/fault_plan.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/common/context/snapshot_fixture.h"

namespace automot::context {
namespace {

using faults::FaultKind;
using faults::FaultPlan;
using faults::Messages;
using faults::WireChunk;
using faults::WireMessage;
using testing::HasSubstr;

bool SameBytes(const ContextSnapshot& a, const ContextSnapshot& b) {
  if (a.header.layout != b.header.layout) return false;
  for (int layer = 0; layer < a.header.layout.layers; ++layer) {
    for (TensorKind tensor : {TensorKind::kKey, TensorKind::kValue}) {
      if (!std::ranges::equal(a.kv.Tensor(layer, tensor), b.kv.Tensor(layer, tensor))) return false;
    }
  }
  return true;
}

class SnapshotAssemblerTest : public testing::Test {
 protected:
  // Feeds messages in order, as a lane does: goes on after a refusal, keeps what was delivered.
  std::vector<SnapshotPtr> Deliver(const std::vector<WireMessage>& messages) {
    std::vector<SnapshotPtr> delivered;
    for (const WireMessage& message : messages) {
      if (const auto* header = std::get_if<SnapshotHeader>(&message)) {
        Note(assembler_.Begin(*header, expected_));
      } else if (const auto* chunk = std::get_if<WireChunk>(&message)) {
        Note(assembler_.Add(chunk->spec, chunk->bytes));
      } else {
        absl::StatusOr<SnapshotPtr> done = assembler_.Finish(std::get<SnapshotTrailer>(message));
        Note(done.status());
        if (done.ok()) delivered.push_back(*std::move(done));
      }
    }
    return delivered;
  }

  // Remembers the first refusal.
  void Note(const absl::Status& status) {
    if (!first_error_.ok() || status.ok()) return;
    first_error_ = status;
    first_refusal_ = assembler_.last_refusal();
  }

  void ExpectRefused(const std::vector<WireMessage>& messages, AssemblyRefusal refusal,
                     absl::StatusCode code) {
    first_error_ = absl::OkStatus();
    EXPECT_TRUE(Deliver(messages).empty());
    EXPECT_EQ(first_refusal_, refusal) << ToString(first_refusal_) << ": " << first_error_;
    EXPECT_EQ(first_error_.code(), code) << first_error_;
    assembler_.Abort();
    EXPECT_EQ(pool_.stats().lent_buffers, 0U) << "a refused snapshot gives its buffer back";
  }

  WireChunk& Chunk(std::vector<WireMessage>& messages, std::size_t index) {
    return std::get<WireChunk>(messages[index + 1]);
  }

  KvBufferPool pool_{{.byte_budget = std::size_t{8} << 20, .prefault = false}};
  SnapshotAssembler assembler_{&pool_};
  SnapshotExpectation expected_ = SmallExpectation();
  SnapshotPtr original_ = SmallSnapshot();
  std::vector<WireMessage> messages_ = Messages(*original_, kMinChunkBytes);
  absl::Status first_error_;
  AssemblyRefusal first_refusal_ = AssemblyRefusal::kNone;
};

TEST_F(SnapshotAssemblerTest, DeliversTheExactSnapshot) {
  const std::vector<SnapshotPtr> delivered = Deliver(messages_);
  ASSERT_EQ(delivered.size(), 1U) << first_error_;
  const ContextSnapshot& got = *delivered[0];
  EXPECT_TRUE(SameBytes(got, *original_));
  EXPECT_EQ(got.header.id, original_->header.id);
  EXPECT_EQ(got.header.position_start, 61);
  EXPECT_EQ(got.header.frame_capture_times_us, original_->header.frame_capture_times_us);
  EXPECT_TRUE(got.header.reasons.Has(Reason::kShortHistory));
  ASSERT_TRUE(got.decision);
  EXPECT_EQ(got.decision->slots[1].text.view(), "slow");
  EXPECT_EQ(got.timings.prefill_ms, 12.0);
  EXPECT_FALSE(assembler_.in_progress());
}

TEST_F(SnapshotAssemblerTest, AcceptsAnyChunkSizeTheProducerChooses) {
  for (std::size_t bytes : {kMinChunkBytes, kDefaultChunkBytes, kMaxChunkBytes}) {
    EXPECT_EQ(Deliver(Messages(*original_, bytes)).size(), 1U) << bytes << " " << first_error_;
  }
}

TEST_F(SnapshotAssemblerTest, AcceptsChunksInThePiecesOfTheTransport) {
  ASSERT_TRUE(assembler_.Begin(original_->header, expected_).ok());
  for (const WireMessage& message : messages_) {
    const auto* chunk = std::get_if<WireChunk>(&message);
    if (chunk == nullptr) continue;
    const std::span<const std::byte> all = chunk->bytes;
    const std::size_t half = all.size() / 2 + 1;
    const std::vector<std::span<const std::byte>> pieces = {
        all.first(1), all.subspan(1, 0), all.subspan(1, half - 1), all.subspan(half)};
    ASSERT_TRUE(assembler_.Add(chunk->spec, pieces).ok());
  }
  const auto done = assembler_.Finish(std::get<SnapshotTrailer>(messages_.back()));
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_TRUE(SameBytes(**done, *original_));
}

TEST_F(SnapshotAssemblerTest, DeliversWithoutADecision) {
  auto bare = std::make_shared<ContextSnapshot>();
  bare->header = original_->header;
  bare->kv = KvBuffer::Allocate(kSmallLayout).value();
  const auto delivered = Deliver(Messages(*bare, kDefaultChunkBytes));
  ASSERT_EQ(delivered.size(), 1U);
  EXPECT_FALSE(delivered[0]->decision);
}

TEST_F(SnapshotAssemblerTest, RefusesDamageByItsKind) {
  auto damaged = messages_;
  Chunk(damaged, 2).bytes[5] ^= std::byte{1};
  ExpectRefused(damaged, AssemblyRefusal::kChunkHash, absl::StatusCode::kDataLoss);

  damaged = messages_;
  Chunk(damaged, 1).bytes.pop_back();
  ExpectRefused(damaged, AssemblyRefusal::kChunkBounds, absl::StatusCode::kDataLoss);

  damaged = messages_;
  damaged.erase(damaged.begin() + 3);
  ExpectRefused(damaged, AssemblyRefusal::kMissingChunk, absl::StatusCode::kDataLoss);

  damaged = messages_;
  damaged.insert(damaged.begin() + 3, damaged[2]);
  ExpectRefused(damaged, AssemblyRefusal::kDuplicateChunk, absl::StatusCode::kDataLoss);

  damaged = messages_;
  damaged.erase(damaged.end() - 2);
  ExpectRefused(damaged, AssemblyRefusal::kIncomplete, absl::StatusCode::kDataLoss);

  damaged = messages_;
  damaged.erase(damaged.begin());
  ExpectRefused(damaged, AssemblyRefusal::kUnexpected, absl::StatusCode::kFailedPrecondition);
}

TEST_F(SnapshotAssemblerTest, RefusesChunksOutsideTheirTensorWithoutTouchingMemory) {
  const auto refuse = [this](auto change) {
    auto damaged = messages_;
    change(Chunk(damaged, 0).spec);
    ExpectRefused(damaged, AssemblyRefusal::kChunkBounds, absl::StatusCode::kInvalidArgument);
  };
  constexpr uint64_t kHuge = std::numeric_limits<uint64_t>::max();
  refuse([](ChunkSpec& spec) { spec.layer = 3; });
  refuse([](ChunkSpec& spec) { spec.layer = UINT32_MAX; });
  refuse([](ChunkSpec& spec) { spec.tensor = static_cast<TensorKind>(2); });
  refuse([](ChunkSpec& spec) { spec.bytes = 0; });
  refuse([](ChunkSpec& spec) { spec.bytes = kHuge; });
  refuse([](ChunkSpec& spec) { spec.offset_bytes = kHuge; });
  refuse([](ChunkSpec& spec) { spec.offset_bytes = kHuge - spec.bytes + 1; });
  refuse([](ChunkSpec& spec) { spec.bytes = 1; });
}

// Two layers that exchange bytes and hashes pass every chunk check; only the digest tells.
TEST_F(SnapshotAssemblerTest, TheDigestCatchesExchangedLayers) {
  auto damaged = messages_;
  std::swap(Chunk(damaged, 0).bytes, Chunk(damaged, 3).bytes);
  std::swap(Chunk(damaged, 0).spec.hash, Chunk(damaged, 3).spec.hash);
  ExpectRefused(damaged, AssemblyRefusal::kDigest, absl::StatusCode::kDataLoss);
}

TEST_F(SnapshotAssemblerTest, TheDigestCoversHeaderAndDecision) {
  auto damaged = messages_;
  std::get<SnapshotHeader>(damaged[0]).position_start += 1;
  ExpectRefused(damaged, AssemblyRefusal::kDigest, absl::StatusCode::kDataLoss);
  damaged = messages_;
  std::get<SnapshotHeader>(damaged[0]).capture_time_us += 1;
  ExpectRefused(damaged, AssemblyRefusal::kDigest, absl::StatusCode::kDataLoss);
  damaged = messages_;
  std::get<SnapshotTrailer>(damaged.back()).decision.reset();
  ExpectRefused(damaged, AssemblyRefusal::kDigest, absl::StatusCode::kDataLoss);
}

TEST_F(SnapshotAssemblerTest, RefusesAMalformedDecision) {
  auto damaged = messages_;
  std::get<SnapshotTrailer>(damaged.back()).decision->slot_count = 200;
  ExpectRefused(damaged, AssemblyRefusal::kDecision, absl::StatusCode::kInvalidArgument);
}

TEST_F(SnapshotAssemblerTest, RefusesAFencedProducerBeforeAnyByte) {
  expected_.epoch = 41;
  ExpectRefused(messages_, AssemblyRefusal::kHeader, absl::StatusCode::kAborted);
}

TEST_F(SnapshotAssemblerTest, ANewHeaderReplacesTheSnapshotInProgress) {
  ASSERT_TRUE(assembler_.Begin(original_->header, expected_).ok());
  EXPECT_EQ(assembler_.last_refusal(), AssemblyRefusal::kNone);
  ASSERT_TRUE(assembler_.Begin(original_->header, expected_).ok());
  EXPECT_EQ(assembler_.last_refusal(), AssemblyRefusal::kReplaced);
  EXPECT_EQ(pool_.stats().lent_buffers, 1U);
}

TEST_F(SnapshotAssemblerTest, NamesTheBudgetWhenThePoolIsSpent) {
  KvBufferPool small({.byte_budget = 4096});
  SnapshotAssembler assembler(&small);
  const absl::Status status = assembler.Begin(original_->header, expected_);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("limit 4096"));
  EXPECT_EQ(assembler.last_refusal(), AssemblyRefusal::kNoBuffer);
}

TEST_F(SnapshotAssemblerTest, WorksAgainAfterARefusal) {
  auto damaged = messages_;
  Chunk(damaged, 0).bytes[0] ^= std::byte{1};
  EXPECT_TRUE(Deliver(damaged).empty());
  EXPECT_EQ(Deliver(messages_).size(), 1U);
}

// Promise 2 of design 5, and "the producer killed at any byte".
TEST_F(SnapshotAssemblerTest, WhateverIsInjectedTheResultIsTheOriginalOrAnError) {
  int delivered_count = 0;
  int refused_count = 0;
  for (uint64_t seed = 1; seed <= 1500; ++seed) {
    const FaultPlan plan = FaultPlan::FromSeed(seed);
    const std::vector<SnapshotPtr> delivered = Deliver(plan.Apply(messages_));
    for (const SnapshotPtr& snapshot : delivered) {
      ASSERT_TRUE(SameBytes(*snapshot, *original_)) << plan.ToString();
      ASSERT_EQ(snapshot->header.id, original_->header.id) << plan.ToString();
      ASSERT_EQ(snapshot->header.position_start, original_->header.position_start);
      ASSERT_EQ(snapshot->decision->slots[0].time_us, original_->decision->slots[0].time_us);
    }
    ++(delivered.empty() ? refused_count : delivered_count);
    assembler_.Abort();
  }
  EXPECT_EQ(pool_.stats().lent_buffers, 0U);
  EXPECT_GT(refused_count, 1000);
  EXPECT_GT(delivered_count, 0) << "the control kind delivers";
}

TEST_F(SnapshotAssemblerTest, EveryKindOfFaultAloneIsRefusedOrHarmless) {
  for (int kind = 0; kind < faults::kFaultKindCount; ++kind) {
    for (uint64_t seed = 1; seed <= 40; ++seed) {
      const FaultPlan plan = FaultPlan::Of(static_cast<FaultKind>(kind), seed);
      const std::vector<SnapshotPtr> delivered = Deliver(plan.Apply(messages_));
      assembler_.Abort();
      const bool whole = std::ranges::all_of(
          delivered, [this](const SnapshotPtr& got) { return SameBytes(*got, *original_); });
      if (static_cast<FaultKind>(kind) == FaultKind::kNone) {
        ASSERT_EQ(delivered.size(), 1U) << plan.ToString();
      }
      ASSERT_TRUE(whole) << plan.ToString();
      if (static_cast<FaultKind>(kind) == FaultKind::kStopAtByte ||
          static_cast<FaultKind>(kind) == FaultKind::kStaleEpoch ||
          static_cast<FaultKind>(kind) == FaultKind::kTruncate ||
          static_cast<FaultKind>(kind) == FaultKind::kDrop) {
        ASSERT_TRUE(delivered.empty()) << plan.ToString();
      }
    }
  }
}

TEST_F(SnapshotAssemblerTest, FaultPlansReplayFromTheirSeed) {
  for (uint64_t seed : {3U, 17U, 99U}) {
    const auto first = FaultPlan::FromSeed(seed).Apply(messages_);
    const auto second = FaultPlan::FromSeed(seed).Apply(messages_);
    ASSERT_EQ(first.size(), second.size());
    for (std::size_t i = 0; i < first.size(); ++i) {
      ASSERT_EQ(first[i].index(), second[i].index());
      const auto* chunk = std::get_if<WireChunk>(&first[i]);
      if (chunk == nullptr) continue;
      EXPECT_EQ(chunk->spec, std::get<WireChunk>(second[i]).spec);
      EXPECT_EQ(chunk->bytes, std::get<WireChunk>(second[i]).bytes);
    }
  }
}

}  // namespace
}  // namespace automot::context
