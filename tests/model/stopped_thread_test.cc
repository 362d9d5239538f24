// A writer stopped for ever before every single operation of a publication disturbs no reader; a
// reader stopped for ever before every single operation of a read costs a bounded number of
// versions.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <iostream>
#include <memory>
#include <thread>

#include "common/context/snapshot_store.h"
#include "tests/model/stopping_watcher.h"
#include "tests/support/tick_guard.h"

namespace automot::model {
namespace {

using context::Rejection;
using test_support::TickGuard;
using test_support::TickReport;

constexpr uint32_t kRetained = 2;
constexpr int kReads = 200;

// Its destruction is an operation as well.
struct Payload {
  explicit Payload(uint64_t of) : version(of) {}
  Payload(Payload&& other) noexcept : version(std::exchange(other.version, 0)) {}
  Payload& operator=(Payload&&) = delete;
  ~Payload() {
    if (watcher != nullptr && version != 0) watcher->Before({OperationKind::kStore});
  }
  uint64_t version;
};
using Store = context::SnapshotStore<Payload>;

class StoppedThreadTest : public testing::Test {
 protected:
  void Make() {
    store_ = Store::Create({.sessions = 1,
                            .retained = kRetained,
                            .max_retained = kRetained,
                            .readers = 2,
                            .pins_per_reader = 2})
                 .value();
    reader_ = store_->RegisterReader("planner").value();
    other_ = store_->RegisterReader("other").value();
    session_ = store_->Open(1, 1).value();
    ASSERT_TRUE(store_->Fence(session_, 1).ok());
  }
  Rejection Publish(uint64_t version) {
    const auto time = static_cast<SessionTimeUs>(version);
    return store_->Publish(session_, {{1, 1, 1, version}, time, time}, Payload(version));
  }
  // The newest version at every one of many reads; 0 where any was not given, or went back.
  uint64_t ReadOn(uint64_t at_least) const {
    uint64_t newest = at_least;
    for (int i = 0; i < kReads; ++i) {
      const Store::Handle handle = store_->Latest(session_, reader_);
      if (!handle || handle.id().version < newest || handle->version != handle.id().version)
        return 0;
      newest = handle.id().version;
    }
    return newest;
  }

  // Stops a reader before each operation of `read` in turn, and publishes on.
  uint32_t MostVersions(const std::function<void()>& read) {
    uint32_t most = 0;
    bool ended = false;
    int stops = 0;
    for (; !ended; ++stops) {
      Make();
      EXPECT_EQ(Publish(1), Rejection::kNone);
      EXPECT_EQ(Publish(2), Rejection::kNone);
      StoppingWatcher stopped(stops);
      std::thread reading([&] {
        watcher = &stopped;
        read();
        watcher = nullptr;
        stopped.Ended();
      });
      ended = !stopped.WaitUntilStopped();
      for (uint64_t version = 3; version <= 200; ++version) {
        EXPECT_EQ(Publish(version), Rejection::kNone);
        EXPECT_EQ(store_->Latest(session_, reader_).id().version, version);
        most = std::max(most, store_->stats().live_versions);
      }
      stopped.GoOn();
      reading.join();
      store_->Collect();
      EXPECT_EQ(store_->stats().live_versions, kRetained) << "what it held comes back";
    }
    std::cout << "stopped before each of " << stops - 1 << " operations; at most " << most
              << " versions of " << kRetained << " retained\n";
    EXPECT_GE(stops, 7);
    return most;
  }

  std::unique_ptr<Store> store_;
  context::ReaderSlot reader_, other_;
  context::SessionHandle session_;
};

TEST_F(StoppedThreadTest, AWriterStoppedBeforeAnyOperationOfAPublicationBlocksNoReader) {
  int stops = 0;
  bool ended = false;
  for (; !ended; ++stops) {
    Make();
    // The fourth publication retires the second version and frees it.
    for (uint64_t version = 1; version <= 3; ++version)
      ASSERT_EQ(Publish(version), Rejection::kNone);
    ASSERT_EQ(ReadOn(3), 3U);  // lazily bound symbols
    StoppingWatcher writer(stops);
    std::thread publisher([&] {
      watcher = &writer;
      EXPECT_EQ(Publish(4), Rejection::kNone);
      watcher = nullptr;
      writer.Ended();
    });
    ended = !writer.WaitUntilStopped();
    const TickGuard guard;
    const uint64_t newest = ReadOn(3);
    const TickReport report = guard.report();
    EXPECT_GE(newest, 3U) << "before operation " << stops;
    if (TickGuard::supported()) {
      EXPECT_EQ(report.lock_calls + report.wait_calls + report.heap_calls, 0U) << report.ToString();
      EXPECT_EQ(report.voluntary_switches, 0U) << report.ToString();
    }
    writer.GoOn();
    publisher.join();
    EXPECT_EQ(ReadOn(newest), 4U) << "it goes on where it was stopped";
  }
  std::cout << "stopped before each of " << stops - 1 << " operations\n";
  EXPECT_GT(stops, 20);
}

// The control: a reader that takes the writers' lock would not come back.
TEST_F(StoppedThreadTest, ControlTheWriterHoldsTheLockAtMostOfTheStops) {
  Make();
  StoppingWatcher all(StoppingWatcher::kNever);
  watcher = &all;
  Publish(1);
  watcher = nullptr;
  int held = 0;
  bool locked = false;
  for (const Operation& operation : all.seen()) {
    held += locked ? 1 : 0;
    if (operation.kind == OperationKind::kLock) locked = true;
    if (operation.kind == OperationKind::kUnlock) locked = false;
  }
  EXPECT_GT(held, static_cast<int>(all.seen().size()) / 2);
}

// Stated: beside the K retained, one version for a read of the newest, and K for one that enters
// the view (Specific, AtLeast, or when a writer came in between).
TEST_F(StoppedThreadTest,
       AReaderStoppedForEverBeforeAnyOperationOfAReadCostsABoundedNumberOfVersions) {
  EXPECT_EQ(MostVersions([&] { store_->Latest(session_, other_); }), kRetained + 1);
  EXPECT_EQ(MostVersions([&] { store_->AtLeast(session_, other_, {1, 1, 1, 1}); }),
            kRetained + kRetained);
}

}  // namespace
}  // namespace automot::model
