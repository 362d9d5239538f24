#include "common/concurrency/bounded_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "common/concurrency/wakeup.h"

namespace automot {
namespace {

TEST(BoundedQueue, RefusesWhenFullAndWhenEmpty) {
  BoundedQueue<int> queue(4);
  int value = 0;
  EXPECT_FALSE(queue.TryPop(&value));
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(queue.TryPush(i));
  EXPECT_FALSE(queue.TryPush(4));
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(queue.TryPop(&value));
    EXPECT_EQ(value, i);
  }
  EXPECT_FALSE(queue.TryPop(&value));
}

TEST(BoundedQueue, LosesAndInventsNothingUnderContention) {
  constexpr int kProducers = 3, kPerProducer = 20000;
  BoundedQueue<int> queue(64);
  std::vector<std::thread> producers;
  for (int p = 0; p < kProducers; ++p) {
    producers.emplace_back([&queue, p] {
      for (int i = 0; i < kPerProducer; ++i) {
        while (!queue.TryPush(p * kPerProducer + i)) std::this_thread::yield();
      }
    });
  }
  std::vector<int> seen(kProducers * kPerProducer, 0);
  std::vector<int> last(kProducers, -1);
  for (int taken = 0; taken < kProducers * kPerProducer;) {
    int value = 0;
    if (!queue.TryPop(&value)) {
      std::this_thread::yield();
      continue;
    }
    ++taken;
    ++seen[value];
    EXPECT_LT(last[value / kPerProducer], value % kPerProducer) << "one producer's order is kept";
    last[value / kPerProducer] = value % kPerProducer;
  }
  for (std::thread& thread : producers) thread.join();
  for (int count : seen) ASSERT_EQ(count, 1);
}

// A lost wake-up hangs this test until its time limit.
TEST(Wakeup, NoWorkIsMissedBetweenTheLastLookAndTheSleep) {
  constexpr int kItems = 20000;
  BoundedQueue<int> queue(8);
  Wakeup wakeup;
  std::thread producer([&] {
    for (int i = 0; i < kItems; ++i) {
      while (!queue.TryPush(i)) std::this_thread::yield();
      wakeup.Notify();
    }
  });
  for (int expected = 0; expected < kItems;) {
    int value = 0;
    if (!queue.TryPop(&value)) {
      wakeup.PrepareToSleep();
      if (!queue.TryPop(&value)) {
        wakeup.Sleep(absl::InfiniteDuration());
        continue;
      }
      wakeup.CancelSleep();
    }
    ASSERT_EQ(value, expected++);
  }
  producer.join();
}

}  // namespace
}  // namespace automot
