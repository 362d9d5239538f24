// Promise 4: the read path takes no lock, no heap, no system call and waits for nobody. Each count
// has a positive control that must be caught.
#include <atomic>
#include <cstdint>
#include <latch>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "common/context/kv_buffer_pool.h"
#include "gtest/gtest.h"
#include "tests/support/tick_guard.h"
#include "tests/unit/common/context/store_fixture.h"

namespace automot::context {
namespace {

using test_support::TickGuard;
using test_support::TickReport;

#define SKIP_WITHOUT_COUNTS() \
  if (!TickGuard::supported()) GTEST_SKIP() << "sanitizers replace what the guard counts"

// What the store must not be: correct, and guarded by a mutex.
class MutexGuardedStore {
 public:
  void Publish(uint64_t session, std::shared_ptr<const Block> block) {
    const std::lock_guard lock(mutex_);
    latest_[session] = std::move(block);
  }
  std::shared_ptr<const Block> Latest(uint64_t session) {
    const std::lock_guard lock(mutex_);
    return latest_[session];
  }

 private:
  std::mutex mutex_;
  std::unordered_map<uint64_t, std::shared_ptr<const Block>> latest_;
};

// Both stores under the same reader, so that the control differs in the store alone.
template <typename Read>
TickReport CountReads(Read read) {
  read();  // warm-up: lazily bound symbols
  const TickGuard guard;
  for (int i = 0; i < 10'000; ++i) read();
  return guard.report();
}

class SnapshotStoreTickTest : public SnapshotStoreTest {
 protected:
  // Publishes on a thread of its own, without pause, until `read` has been counted.
  template <typename Read>
  TickReport CountReadsBesideAPublisher(Read read) {
    std::atomic<bool> done{false};
    std::latch running(1);
    std::thread publisher([&] {
      for (uint64_t version = 2; !done; ++version) {
        store_->Publish(session_, Info(version), std::make_unique<Block>(version, &census_));
        if (version == 2) running.count_down();
        observer_.seen.clear();
      }
    });
    running.wait();
    const TickReport report = CountReads(read);
    done = true;
    publisher.join();
    return report;
  }
};

TEST_F(SnapshotStoreTickTest, LatestAndReleaseUseNoHeapNoLockAndNoWait) {
  SKIP_WITHOUT_COUNTS();
  Publish(1);
  uint64_t sum = 0;
  const TickReport report = CountReadsBesideAPublisher([&] {
    const BlockStore::Handle handle = store_->Latest(session_, reader_);
    sum += handle.id().version;
  });
  EXPECT_EQ(report.heap_calls, 0U) << report.ToString();
  EXPECT_EQ(report.lock_calls, 0U) << report.ToString();
  EXPECT_EQ(report.wait_calls, 0U) << report.ToString();
  EXPECT_EQ(report.voluntary_switches, 0U) << report.ToString();
  EXPECT_GE(sum, 10'000U);
}

TEST_F(SnapshotStoreTickTest, EveryOtherReadUsesNoHeapNoLockAndNoWait) {
  SKIP_WITHOUT_COUNTS();
  Publish(1);
  const TickReport report = CountReadsBesideAPublisher([&] {
    store_->LatestVisible(session_, reader_, INT64_MAX);
    store_->Specific(session_, reader_, Info(3).id);
    store_->AtLeast(session_, reader_, Info(1).id);
    store_->Latest({3, 9}, reader_);
  });
  EXPECT_EQ(report.heap_calls + report.lock_calls + report.wait_calls, 0U) << report.ToString();
  EXPECT_EQ(report.voluntary_switches, 0U) << report.ToString();
}

TEST_F(SnapshotStoreTickTest, ControlAMutexGuardedStoreIsCaught) {
  SKIP_WITHOUT_COUNTS();
  MutexGuardedStore store;
  store.Publish(kSession, std::make_shared<const Block>(1, &census_));
  const TickReport report = CountReads([&] { store.Latest(kSession); });
  EXPECT_GE(report.lock_calls, 10'000U) << report.ToString();
}

TEST_F(SnapshotStoreTickTest, ControlEachKindOfBlockingIsCaught) {
  SKIP_WITHOUT_COUNTS();
  const TickGuard heap;
  ::operator delete(::operator new(64));
  EXPECT_GE(heap.report().heap_calls, 2U);

  std::atomic<int> gate{0};
  std::thread opener([&] {
    while (gate.load() != 1) std::this_thread::yield();
    gate.store(2);
    gate.notify_all();
  });
  const TickGuard wait;
  gate.store(1);
  gate.wait(1);
  const TickReport waited = wait.report();
  opener.join();
  // The opener may win; then there was nothing to wait for, and nothing to count.
  EXPECT_TRUE(waited.wait_calls > 0 || waited.voluntary_switches == 0) << waited.ToString();

  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  const TickGuard condition;
  never.wait_for(lock, std::chrono::microseconds(1));
  EXPECT_GE(condition.report().wait_calls, 1U);
  EXPECT_GE(condition.report().voluntary_switches, 1U);
}

// An absl::Mutex taken without contention makes no call that could be counted; held by another
// thread it waits on a futex, which is.
TEST_F(SnapshotStoreTickTest, ControlAContendedAbslMutexIsCaught) {
  SKIP_WITHOUT_COUNTS();
  absl::Mutex mutex;
  std::latch held(1);
  std::atomic<bool> reader_arrives{false};
  std::thread owner([&] {
    const absl::MutexLock lock(&mutex);
    held.count_down();
    while (!reader_arrives) std::this_thread::yield();
    // Until the reader sleeps in the kernel; bounded by its own spinning, not by time.
    for (int i = 0; i < 200'000; ++i) std::this_thread::yield();
  });
  held.wait();
  const TickGuard guard;
  reader_arrives = true;
  mutex.Lock();
  mutex.Unlock();
  const TickReport report = guard.report();
  owner.join();
  EXPECT_GE(report.wait_calls + report.voluntary_switches, 1U) << report.ToString();
}

// Holds the writers' lock inside a publication until told to go on.
class StallingObserver : public StoreObserver {
 public:
  void OnTransition(const Transition& transition) override {
    if (transition.kind != TransitionKind::kPublished || transition.id.version != 2) return;
    stalled.count_down();
    resume.wait();
  }
  std::latch stalled{1};
  std::latch resume{1};
};

TEST(SnapshotStoreStallTest, ReadersGoOnWhileAPublisherIsStalledInsideThePublication) {
  Census census;
  StallingObserver observer;
  auto store = BlockStore::Create({.sessions = 2, .readers = 1}, &observer).value();
  const ReaderSlot reader = store->RegisterReader("planner").value();
  const SessionHandle session = store->Open(kSession, kEpisode).value();
  ASSERT_TRUE(store->Fence(session, kEpoch).ok());
  store->Publish(session, Info(1), std::make_unique<Block>(1, &census));
  std::thread publisher(
      [&] { store->Publish(session, Info(2), std::make_unique<Block>(2, &census)); });
  observer.stalled.wait();
  for (int i = 0; i < 1000; ++i) {
    BlockStore::Handle handle = store->Latest(session, reader);
    ASSERT_TRUE(handle);
    ASSERT_EQ((*handle)->version(), handle.id().version);
    ASSERT_TRUE(store->Specific(session, reader, Info(1).id));
  }
  observer.resume.count_down();
  publisher.join();
}

TEST_F(SnapshotStoreTickTest, ReadingAPooledBufferOnAnotherThreadTakesNoPageFault) {
  SKIP_WITHOUT_COUNTS();
  KvBufferPool pool({.byte_budget = std::size_t{64} << 20});
  const ContextLayout layout{
      .layers = 8, .tokens = 512, .kv_heads = 4, .k_head_dim = 64, .v_head_dim = 64};
  const KvBuffer buffer = pool.Acquire(layout).value();
  TickReport report;
  uint64_t sum = 0;
  const auto read = [&] {
    const std::span<const std::byte> bytes = buffer.bytes();
    for (std::size_t i = 0; i < bytes.size(); i += 4096) sum += static_cast<uint64_t>(bytes[i]);
  };
  std::thread reader([&] {
    CountReads([] {});  // the thread's own stack and bindings
    const TickGuard guard;
    read();
    report = guard.report();
  });
  reader.join();
  EXPECT_EQ(report.minor_faults + report.major_faults, 0U) << report.ToString();
  EXPECT_EQ(sum, 0U);
}

TEST_F(SnapshotStoreTickTest, ControlFreshMemoryFaults) {
  SKIP_WITHOUT_COUNTS();
  KvBufferPool pool({.byte_budget = std::size_t{64} << 20, .prefault = false});
  const ContextLayout layout{
      .layers = 8, .tokens = 512, .kv_heads = 4, .k_head_dim = 64, .v_head_dim = 64};
  const KvBuffer buffer = pool.Acquire(layout).value();
  const TickGuard guard;
  uint64_t sum = 0;
  const std::span<const std::byte> bytes = buffer.bytes();
  for (std::size_t i = 0; i < bytes.size(); i += 4096) sum += static_cast<uint64_t>(bytes[i]);
  EXPECT_EQ(sum, 0U);
  EXPECT_GT(guard.report().minor_faults, 0U);
}

}  // namespace
}  // namespace automot::context
