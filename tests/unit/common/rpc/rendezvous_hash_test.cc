#include "common/rpc/rendezvous_hash.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace automot::rpc {
namespace {

using Names = std::vector<std::string>;

constexpr int kKeys = 4000;

std::string KeyOf(int i) { return "car-" + std::to_string(i); }
Names Replicas(int count) {
  Names names;
  for (int i = 0; i < count; ++i) names.push_back("10.0.0." + std::to_string(i) + ":50051");
  return names;
}

TEST(RendezvousHash, NamesDecideAndNotTheirOrder) {
  const Names replicas = Replicas(5);
  Names reversed(replicas.rbegin(), replicas.rend());
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(replicas[RendezvousChoice(KeyOf(i), replicas)],
              reversed[RendezvousChoice(KeyOf(i), reversed)]);
  }
}

TEST(RendezvousHash, SharesAreEqual) {
  const Names replicas = Replicas(8);
  std::vector<int> share(8);
  for (int i = 0; i < kKeys; ++i) ++share[RendezvousChoice(KeyOf(i), replicas)];
  // 500 expected, standard deviation 21.
  for (const int count : share) EXPECT_NEAR(count, kKeys / 8, 110);
}

TEST(RendezvousHash, ReplicaThatGoesMovesOnlyItsOwnKeysToTheirNextChoice) {
  const Names before = Replicas(6);
  const std::string gone = before[2];
  Names after = before;
  std::erase(after, gone);
  for (int i = 0; i < 500; ++i) {
    const std::vector<std::size_t> order = RendezvousOrder(KeyOf(i), before);
    const std::string& now = after[RendezvousChoice(KeyOf(i), after)];
    EXPECT_EQ(now, before[order[0]] == gone ? before[order[1]] : before[order[0]]);
  }
}

TEST(RendezvousHash, OrderHasEveryReplicaOnce) {
  const Names replicas = Replicas(4);
  std::vector<std::size_t> order = RendezvousOrder("car", replicas);
  EXPECT_EQ(order.front(), RendezvousChoice("car", replicas));
  std::sort(order.begin(), order.end());
  EXPECT_EQ(order, (std::vector<std::size_t>{0, 1, 2, 3}));
}

TEST(RendezvousHash, ChoiceIsTheSameForEver) {  // of programs of different versions side by side
  EXPECT_EQ(RendezvousOrder("car-1", Replicas(4)), (std::vector<std::size_t>{0, 3, 1, 2}));
}

}  // namespace
}  // namespace automot::rpc
