#include "common/faults/fault_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

namespace automot::faults {
namespace {

std::vector<WireMessage> TwoSnapshots() {
  std::vector<WireMessage> messages;
  for (uint64_t version : {1U, 2U}) {
    context::ContextSnapshot snapshot;
    snapshot.header.id = {.session = 1, .episode = 1, .epoch = 5, .version = version};
    snapshot.header.layout = {
        .layers = 2, .tokens = 3, .kv_heads = 1, .k_head_dim = 8, .v_head_dim = 4};
    snapshot.kv = context::KvBuffer::Allocate(snapshot.header.layout).value();
    snapshot.kv.Tensor(0, context::TensorKind::kKey)[0] = std::byte(version);
    std::ranges::move(Messages(snapshot, context::kMinChunkBytes), std::back_inserter(messages));
  }
  return messages;
}

bool Same(const WireMessage& a, const WireMessage& b) {
  if (a.index() != b.index()) return false;
  if (const auto* header = std::get_if<context::SnapshotHeader>(&a)) {
    return header->id == std::get<context::SnapshotHeader>(b).id;
  }
  if (const auto* chunk = std::get_if<WireChunk>(&a)) {
    return chunk->spec == std::get<WireChunk>(b).spec &&
           chunk->bytes == std::get<WireChunk>(b).bytes;
  }
  return std::get<context::SnapshotTrailer>(a).digest ==
         std::get<context::SnapshotTrailer>(b).digest;
}

bool Same(const std::vector<WireMessage>& a, const std::vector<WireMessage>& b) {
  return std::ranges::equal(a, b, [](const auto& x, const auto& y) { return Same(x, y); });
}

TEST(FaultPlanTest, TheSameSeedDoesTheSame) {
  const std::vector<WireMessage> messages = TwoSnapshots();
  for (uint64_t seed = 0; seed < 500; ++seed) {
    const FaultedMessages first = FaultPlan::FromSeed(seed).Inject(messages);
    const FaultedMessages second = FaultPlan::FromSeed(seed).Inject(messages);
    EXPECT_TRUE(Same(first.messages, second.messages) && Same(first.late, second.late));
    EXPECT_EQ(first.injected, second.injected);
    EXPECT_EQ(first.killed, second.killed);
  }
}

TEST(FaultPlanTest, EveryKindButTheControlChangesWhatArrives) {
  const std::vector<WireMessage> messages = TwoSnapshots();
  EXPECT_TRUE(Same(FaultPlan::Of(FaultKind::kNone, 1).Apply(messages), messages));
  for (int kind = 1; kind < kFaultKindCount; ++kind) {
    int changed = 0;
    for (uint64_t seed = 0; seed < 40; ++seed) {
      const FaultPlan plan = FaultPlan::Of(static_cast<FaultKind>(kind), seed);
      changed += Same(plan.Apply(messages), messages) ? 0 : 1;
    }
    EXPECT_GT(changed, 20) << ToString(static_cast<FaultKind>(kind));
  }
}

TEST(FaultPlanTest, DelayKeepsEveryMessageAndHoldsSomeBeyondTheOthers) {
  const std::vector<WireMessage> messages = TwoSnapshots();
  std::size_t late = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const FaultedMessages faulted = FaultPlan::Of(FaultKind::kDelay, seed).Inject(messages);
    EXPECT_EQ(faulted.messages.size() + faulted.late.size(), messages.size());
    late += faulted.late.size();
  }
  EXPECT_GT(late, 10U);
  EXPECT_LT(late, 90U);
}

TEST(FaultPlanTest, AKilledProducerSendsNothingLater) {
  const std::vector<WireMessage> messages = TwoSnapshots();
  int killed = 0;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    const FaultedMessages faulted = FaultPlan::FromSeed(seed).Inject(messages);
    if (!faulted.killed) continue;
    ++killed;
    EXPECT_TRUE(faulted.late.empty());
  }
  EXPECT_GT(killed, 50);
}

TEST(FaultPlanTest, ReplayRepeatsAWholeSnapshot) {
  const std::vector<WireMessage> messages = TwoSnapshots();
  const std::vector<WireMessage> got = FaultPlan::Of(FaultKind::kReplay, 3).Apply(messages);
  ASSERT_EQ(got.size(), messages.size() * 3 / 2);
  EXPECT_TRUE(std::holds_alternative<context::SnapshotHeader>(got[messages.size()]));
  EXPECT_TRUE(std::holds_alternative<context::SnapshotTrailer>(got.back()));
}

TEST(FaultPlanTest, ToStringNamesSeedAndKinds) {
  EXPECT_EQ(FaultPlan::Of(FaultKind::kFlipBits, 7).ToString(), "seed=7 flip_bits");
}

}  // namespace
}  // namespace automot::faults
