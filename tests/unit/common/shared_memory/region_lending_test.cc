// What is lent, given back, refused and retired between a producer and its consumers.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <set>
#include <thread>

#include "tests/unit/common/shared_memory/lending_fixture.h"

namespace automot::shared_memory {
namespace {

using context::KvBuffer;
using context::TensorKind;

RegionMessage Await(int socket) {
  while (true) {
    auto received = Receive(socket);
    if (!received.ok()) return {};
    if (*received) return (*received)->message;
    std::this_thread::yield();
  }
}

// The consumer's process: says its token, then borrows and keeps what it is told about.
[[noreturn]] void Consume(int parent, const std::string& path) {
  const auto step = [&](RegionMessage message) {
    if (!Send(parent, message).ok()) _exit(1);
  };
  step({.kind = RegionMessageKind::kReady});  // not connected yet
  auto client = RegionClient::Connect({.path = path});
  if (!client.ok()) _exit(2);
  RegionMessage token = {.kind = RegionMessageKind::kProbe};
  std::copy((*client)->token().begin(), (*client)->token().end(), token.token.begin());
  step(token);
  std::vector<KvBuffer> held;
  while (true) {
    const RegionMessage told = Await(parent);
    PlaceRefusal refusal{};
    auto borrowed = (*client)->Borrow(1,
                                      {.region = told.region,
                                       .generation = told.generation,
                                       .length_bytes = kLayout.total_bytes()},
                                      kLayout, &refusal);
    if (!borrowed.ok()) _exit(3);
    held.push_back(*std::move(borrowed));
    step({.kind = RegionMessageKind::kReady});
  }
}

TEST_F(LendingTest, BytesAreReadInPlace) {
  StartServer();
  const auto client = Connect();
  const auto loans = Open(*client);
  context::SnapshotPtr snapshot = Snapshot(7);
  ASSERT_EQ(loans->Lend(snapshot), LendOutcome::kLent);
  PlaceRefusal refusal{};
  const auto borrowed = client->Borrow(loans->number(), UseOf(*snapshot), kLayout, &refusal);
  ASSERT_TRUE(borrowed.ok()) << borrowed.status();
  const std::byte* const before = borrowed->bytes().data();
  EXPECT_EQ(std::as_const(*borrowed).Tensor(1, TensorKind::kValue).back(), std::byte{7});
  EXPECT_NE(before, snapshot->kv.bytes().data()) << "another mapping of the same pages";
  const_cast<KvBuffer&>(snapshot->kv).Tensor(1, TensorKind::kValue).back() = std::byte{8};
  EXPECT_EQ(std::as_const(*borrowed).Tensor(1, TensorKind::kValue).back(), std::byte{8});
}

TEST_F(LendingTest, ARegionIsReusedOnlyAfterItsReaderLetGo) {
  StartServer();
  const auto client = Connect();
  std::atomic<int> rooms{0};
  const auto loans = Open(*client, [&] { ++rooms; });
  context::SnapshotPtr first = Snapshot(1);
  const RegionUse use = UseOf(*first);
  ASSERT_EQ(loans->Lend(first), LendOutcome::kLent);
  PlaceRefusal refusal{};
  std::optional<KvBuffer> borrowed =
      client->Borrow(loans->number(), use, kLayout, &refusal).value();
  first.reset();
  EXPECT_EQ(pool_.stats().lent_buffers, 1U) << "the producer itself has let go";
  EXPECT_NE(UseOf(*Snapshot(2)).region, use.region);
  EXPECT_EQ(std::as_const(*borrowed).Tensor(0, TensorKind::kKey)[0], std::byte{1});
  borrowed.reset();
  Until([&] { return rooms.load() == 1; });
  EXPECT_EQ(loans->held(), 0U);
  EXPECT_EQ(pool_.stats().lent_buffers, 0U);
  std::set<uint64_t> regions;
  const auto a = Snapshot(3), b = Snapshot(3);
  for (const auto& snapshot : {a, b}) regions.insert(UseOf(*snapshot).region);
  EXPECT_TRUE(regions.contains(use.region));
}

TEST_F(LendingTest, AFrozenConsumerHoldsItsLimitAndNoMore) {
  StartServer({.snapshots = 3});
  const auto frozen = Connect();
  const auto healthy = Connect();
  const auto stuck = Open(*frozen);
  std::atomic<int> rooms{0};
  const auto moving = Open(*healthy, [&] { ++rooms; });
  for (int i = 0; i < 10; ++i) {
    const auto snapshot = Snapshot(1);
    EXPECT_EQ(stuck->Lend(snapshot), i < 3 ? LendOutcome::kLent : LendOutcome::kNoRoom);
    ASSERT_EQ(moving->Lend(snapshot), LendOutcome::kLent) << "the other one is not affected";
    PlaceRefusal refusal{};
    healthy->Borrow(moving->number(), UseOf(*snapshot), kLayout, &refusal).value();
    Until([&] { return rooms.load() == i + 1; });
  }
  EXPECT_EQ(stuck->held(), 3U);
  EXPECT_LE(pool_.stats().maps, 4U);
}

TEST_F(LendingTest, BytesOfOneConnectionAreLimitedOverAllItsSubscriptions) {
  const std::size_t region = context::KvBufferPool::SizeClass(kLayout.total_bytes());
  StartServer({.snapshots = 8, .consumer_bytes = 3 * region});
  const auto client = Connect();
  const auto one = Open(*client), other = Open(*client);
  EXPECT_EQ(one->Lend(Snapshot(1)), LendOutcome::kLent);
  EXPECT_EQ(other->Lend(Snapshot(1)), LendOutcome::kLent);
  EXPECT_EQ(one->Lend(Snapshot(1)), LendOutcome::kLent);
  EXPECT_EQ(other->Lend(Snapshot(1)), LendOutcome::kNoRoom);
}

TEST_F(LendingTest, WhatADeadConsumerMayStillReadIsNeverWrittenAgain) {
  StartServer();
  auto client = Connect();
  std::atomic<int> rooms{0};
  const auto loans = Open(*client, [&] { ++rooms; });
  context::SnapshotPtr kept = Snapshot(5), back = Snapshot(6);
  PlaceRefusal refusal{};
  for (const auto& snapshot : {kept, back}) {
    ASSERT_EQ(loans->Lend(snapshot), LendOutcome::kLent);
  }
  const RegionUse use = UseOf(*kept), returned = UseOf(*back);
  const KvBuffer borrowed = client->Borrow(loans->number(), use, kLayout, &refusal).value();
  client->Borrow(loans->number(), returned, kLayout, &refusal).value();
  Until([&] { return rooms.load() == 1; });
  kept.reset();
  back.reset();
  client.reset();
  Until([&] { return rooms.load() == 2; });
  EXPECT_EQ(loans->Lend(Snapshot(1)), LendOutcome::kEnded);
  EXPECT_EQ(pool_.stats().lent_buffers, 0U);
  for (int i = 0; i < 20; ++i) {
    const auto a = Snapshot(0xEE), b = Snapshot(0xEE), c = Snapshot(0xEE);
    for (const auto& snapshot : {a, b, c}) EXPECT_NE(UseOf(*snapshot).region, use.region);
  }
  for (const std::byte byte : borrowed.Tensor(1, TensorKind::kValue)) {
    ASSERT_EQ(byte, std::byte{5});
  }
}

TEST_F(LendingTest, UsesThatNeverReachedTheConsumerComeBackWithItsSubscription) {
  StartServer();
  const auto client = Connect();
  std::atomic<int> rooms{0};
  const auto loans = Open(*client, [&] { ++rooms; });
  const auto other = Open(*client);
  const auto first = Snapshot(1), second = Snapshot(2), third = Snapshot(3), apart = Snapshot(4);
  for (const auto& snapshot : {first, second, third}) {
    ASSERT_EQ(loans->Lend(snapshot), LendOutcome::kLent);
  }
  ASSERT_EQ(other->Lend(apart), LendOutcome::kLent);
  PlaceRefusal refusal{};
  const KvBuffer borrowed =
      client->Borrow(loans->number(), UseOf(*first), kLayout, &refusal).value();
  client->EndSubscription(loans->number(), 1);  // the stream broke after the first
  Until([&] { return rooms.load() > 0; });
  EXPECT_EQ(loans->held(), 1U);
  EXPECT_EQ(other->held(), 1U);
}

// A consumer in a process of its own goes step by step, and is killed at one of them.
TEST_F(LendingTest, AConsumerProcessKilledAtAnyStepCostsNobodyElseAnything) {
  StartServer();
  const auto healthy = Connect();
  std::atomic<int> rooms{0};
  const auto moving = Open(*healthy, [&] { ++rooms; });
  for (int killed_at = 1; killed_at <= 5; ++killed_at) {
    auto [ours, theirs] = LocalPair().value();
    const pid_t consumer = fork();
    if (consumer == 0) {
      ours.Close();
      Consume(theirs.get(), folder_.Path());
    }
    theirs.Close();
    std::shared_ptr<RegionLoans> loans;
    context::SnapshotPtr snapshot;
    uint64_t lent = 0;
    for (int step = 1; step <= killed_at; ++step) {
      const RegionMessage said = Await(ours.get());
      if (said.kind == RegionMessageKind::kProbe) {
        loans = server_->Open(said.token_view(), 1).value();
      }
      if (step == killed_at || loans == nullptr) continue;
      snapshot = Snapshot(static_cast<uint8_t>(step));
      lent = UseOf(*snapshot).region;
      ASSERT_EQ(loans->Lend(snapshot), LendOutcome::kLent);
      const RegionUse use = UseOf(*snapshot);
      ASSERT_TRUE(Send(ours.get(), {.kind = RegionMessageKind::kRelease,
                                    .region = use.region,
                                    .generation = use.generation})
                      .ok());
    }
    snapshot.reset();
    kill(consumer, SIGKILL);
    waitpid(consumer, nullptr, 0);
    Until([&] { return server_->stats().consumers == 1; });
    const auto after = Snapshot(0xEE);
    EXPECT_NE(UseOf(*after).region, lent) << "it may have been read until the end";
    rooms = 0;
    ASSERT_EQ(moving->Lend(after), LendOutcome::kLent);
    PlaceRefusal refusal{};
    ASSERT_TRUE(healthy->Borrow(moving->number(), UseOf(*after), kLayout, &refusal).ok());
    Until([&] { return moving->held() == 0; });
  }
}

TEST_F(LendingTest, ReleasesSurviveAProducerThatDoesNotRead) {
  StartServer({.snapshots = 1000});
  const auto client = Connect();
  std::atomic<bool> stop{false};
  client->WatchEnd([] {});
  // The server's thread is held up inside on_room: it reads nothing meanwhile.
  std::atomic<int> rooms{0};
  const auto loans = Open(*client, [&] {
    ++rooms;
    Until([&] { return stop.load(); });
  });
  constexpr std::size_t kUses = 700;
  for (std::size_t i = 0; i < kUses; ++i) {
    const auto snapshot = Snapshot(1);
    PlaceRefusal refusal{};
    if (loans->Lend(snapshot) != LendOutcome::kLent) break;
    client->Borrow(loans->number(), UseOf(*snapshot), kLayout, &refusal).value();
  }
  EXPECT_EQ(client->held(loans->number()), 0U);
  EXPECT_GT(loans->held(), 300U) << "more than the socket holds";
  stop = true;
  Until([&] { return loans->held() == 0; });
}

TEST_F(LendingTest, TheEndOfTheProducerIsNoticed) {
  StartServer();
  const auto client = Connect();
  std::atomic<bool> ended{false};
  client->WatchEnd([&] { ended = true; });
  const auto loans = Open(*client);
  const auto snapshot = Snapshot(9);
  ASSERT_EQ(loans->Lend(snapshot), LendOutcome::kLent);
  PlaceRefusal refusal{};
  const KvBuffer borrowed =
      client->Borrow(loans->number(), UseOf(*snapshot), kLayout, &refusal).value();
  server_.reset();
  Until([&] { return ended.load(); });
  EXPECT_TRUE(absl::IsUnavailable(
      client->Borrow(loans->number(), UseOf(*snapshot), kLayout, &refusal).status()));
  EXPECT_EQ(borrowed.bytes()[0], std::byte{9});
  EXPECT_TRUE(absl::IsUnavailable(RegionClient::Connect({.path = folder_.Path()}).status()));
}

TEST_F(LendingTest, RegionsGivenUpByThePoolAreUnmappedByTheConsumer) {
  StartServer();
  const auto client = Connect();
  std::atomic<int> rooms{0};
  const auto loans = Open(*client, [&] { ++rooms; });
  PlaceRefusal refusal{};
  RegionUse gone;
  {
    const auto snapshot = Snapshot(1);
    gone = UseOf(*snapshot);
    ASSERT_EQ(loans->Lend(snapshot), LendOutcome::kLent);
    client->Borrow(loans->number(), gone, kLayout, &refusal).value();
    Until([&] { return rooms.load() == 1; });
    snapshot->kv.place()->region->Retire();
  }
  const auto snapshot = Snapshot(2);
  ASSERT_EQ(loans->Lend(snapshot), LendOutcome::kLent);
  client->Borrow(loans->number(), UseOf(*snapshot), kLayout, &refusal).value();
  gone.generation += 1;
  EXPECT_FALSE(client->Borrow(loans->number(), gone, kLayout, &refusal).ok());
  EXPECT_EQ(refusal, PlaceRefusal::kUnknownRegion);
}

TEST_F(LendingTest, NearTheLimitsAConsumerIsToldToCopy) {
  StartServer({.snapshots = 4});
  const auto client = Connect();
  const auto loans = Open(*client);
  std::vector<KvBuffer> held;
  PlaceRefusal refusal{};
  while (client->RoomToKeep(loans->number(), kLayout.total_bytes(), loans->snapshot_limit())) {
    const auto snapshot = Snapshot(1);
    ASSERT_EQ(loans->Lend(snapshot), LendOutcome::kLent);
    held.push_back(client->Borrow(loans->number(), UseOf(*snapshot), kLayout, &refusal).value());
  }
  EXPECT_EQ(held.size(), 3U);
  EXPECT_FALSE(client->RoomToKeep(loans->number() + 1, std::size_t{4} << 30, 100));
  EXPECT_TRUE(client->RoomToKeep(loans->number() + 1, 4096, 4));
}

TEST_F(LendingTest, ConsumersComeAndGoUnderLoad) {
  StartServer({.snapshots = 2});
  std::atomic<bool> stop{false};
  std::thread watcher([&] {
    while (!stop) server_->stats();
  });
  for (int round = 0; round < 50; ++round) {
    auto client = Connect();
    const auto loans = Open(*client);
    std::vector<std::thread> threads;
    std::vector<KvBuffer> held;
    for (int i = 0; i < 4; ++i) {
      const auto snapshot = Snapshot(static_cast<uint8_t>(i));
      if (loans->Lend(snapshot) != LendOutcome::kLent) continue;
      PlaceRefusal refusal{};
      auto borrowed = client->Borrow(loans->number(), UseOf(*snapshot), kLayout, &refusal);
      ASSERT_TRUE(borrowed.ok()) << borrowed.status();
      threads.emplace_back([buffer = *std::move(borrowed)]() mutable { buffer = KvBuffer(); });
    }
    if (round % 2 == 0) client.reset();
    for (auto& thread : threads) thread.join();
  }
  stop = true;
  watcher.join();
  Until([&] { return server_->stats().consumers == 0; });
  EXPECT_EQ(pool_.stats().lent_buffers, 0U);
}

}  // namespace
}  // namespace automot::shared_memory
