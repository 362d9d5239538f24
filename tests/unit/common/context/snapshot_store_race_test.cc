// The promises of the snapshot path (design 5) under threads; meant for the thread sanitizer as
// well.
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/common/context/store_fixture.h"

namespace automot::context {
namespace {

constexpr int kReaders = 3;
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr uint64_t kUsualVersions = 10000;
#else
constexpr uint64_t kUsualVersions = 200000;
#endif

// Twenty times as many by `test --long`.
const uint64_t kVersions = [] {
  const char* const value = std::getenv("AUTOMOT_LONG_TESTS");
  return value != nullptr && std::string(value) == "1" ? 20 * kUsualVersions : kUsualVersions;
}();

class SnapshotStoreRaceTest : public SnapshotStoreTest {
 protected:
  void SetUp() override {
    // The observer records without bound: not for these tests.
    auto store = BlockStore::Create(
        {.sessions = 4, .retained = 2, .readers = kReaders, .pins_per_reader = 4});
    store_ = *std::move(store);
    session_ = store_->Open(kSession, kEpisode).value();
    ASSERT_TRUE(store_->Fence(session_, kEpoch).ok());
    for (ReaderSlot& reader : readers_) reader = store_->RegisterReader("reader").value();
  }

  // Runs `read(reader index)` in a loop on every reader thread while `write()` runs here.
  template <typename Read, typename Write>
  void Race(Read read, Write write) {
    std::atomic<bool> done{false};
    std::atomic<int> started{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < kReaders; ++i) {
      threads.emplace_back([&, i] {
        this_thread_reads = true;
        ++started;
        while (!done.load(std::memory_order_relaxed)) read(i);
      });
    }
    while (started < kReaders) std::this_thread::yield();
    write();
    done = true;
    for (std::thread& thread : threads) thread.join();
  }

  void PublishAll() {
    for (uint64_t version = 1; version <= kVersions; ++version) {
      ASSERT_EQ(Publish(version), Rejection::kNone);
    }
  }

  ReaderSlot readers_[kReaders];
};

// Promises 1 and 2: complete, one version, alive.
TEST_F(SnapshotStoreRaceTest, ReadersSeeOnlyCompleteVersionsOfTheirId) {
  std::atomic<uint64_t> torn{0};
  Race(
      [&](int i) {
        const BlockStore::Handle handle = store_->Latest(session_, readers_[i]);
        if (handle && (*handle)->version() != handle.id().version) ++torn;
      },
      [this] { PublishAll(); });
  EXPECT_EQ(torn, 0U);
  EXPECT_FALSE(census_.destroyed_by_reader);
}

// Promise 3: what one thread saw before another began its read is a lower bound for it.
TEST_F(SnapshotStoreRaceTest, NoThreadSeesAnOlderVersionThanAnyThreadSawBefore) {
  std::atomic<uint64_t> seen{0};
  std::atomic<uint64_t> backwards{0};
  Race(
      [&](int i) {
        const uint64_t bound = seen.load();
        const BlockStore::Handle handle =
            i == 0 ? store_->LatestVisible(session_, readers_[i], INT64_MAX)
                   : store_->Latest(session_, readers_[i]);
        if (!handle) {
          if (bound != 0) ++backwards;
          return;
        }
        const uint64_t version = handle.id().version;
        if (version < bound) ++backwards;
        uint64_t known = seen.load();
        while (version > known && !seen.compare_exchange_weak(known, version)) {
        }
      },
      [this] { PublishAll(); });
  EXPECT_EQ(backwards, 0U);
  EXPECT_EQ(LatestVersion(), kVersions);
}

// Promises 6 and 7: held handles stay valid for many publications; garbage stays bounded
// throughout.
TEST_F(SnapshotStoreRaceTest, HeldHandlesStayValidAndGarbageBounded) {
  std::vector<BlockStore::Handle> held[kReaders];
  std::atomic<uint64_t> wrong{0};
  Race(
      [&](int i) {
        BlockStore::Handle handle = store_->Latest(session_, readers_[i]);
        if (handle) held[i].push_back(std::move(handle));
        for (const BlockStore::Handle& kept : held[i]) {
          if ((*kept)->version() != kept.id().version) ++wrong;
        }
        if (held[i].size() > 3) held[i].erase(held[i].begin());
      },
      [this] { PublishAll(); });
  EXPECT_EQ(wrong, 0U);
  EXPECT_FALSE(census_.destroyed_by_reader);
  // K retained, every pin slot, K for each reader between entering and leaving a view, one in the
  // making.
  EXPECT_LE(census_.most_alive, 2 + kReaders * 4 + kReaders * 2 + 1);
  for (auto& handles : held) handles.clear();
  store_->Collect();
  EXPECT_EQ(census_.alive, 2);
}

TEST_F(SnapshotStoreRaceTest, HandlesReleasedOnOtherThreadsFreeTheirPins) {
  std::mutex mutex;
  std::vector<BlockStore::Handle> handed_over;
  std::atomic<uint64_t> acquired{0};
  Race(
      [&](int i) {
        if (i == 0) {
          std::vector<BlockStore::Handle> mine;
          const std::lock_guard lock(mutex);
          mine.swap(handed_over);
          return;  // released here
        }
        BlockStore::Handle handle = store_->Latest(session_, readers_[i]);
        if (!handle) return;
        ++acquired;
        const std::lock_guard lock(mutex);
        handed_over.push_back(std::move(handle));
      },
      [this] { PublishAll(); });
  handed_over.clear();
  EXPECT_GT(acquired, 0U);
  EXPECT_EQ(store_->stats().pins_in_use, 0U);
  store_->Collect();
  EXPECT_EQ(census_.alive, 2);
}

TEST_F(SnapshotStoreRaceTest, OneReaderSlotMayServeSeveralThreads) {
  std::atomic<uint64_t> wrong{0};
  Race(
      [&](int) {
        const BlockStore::Handle handle = store_->Latest(session_, readers_[0]);
        if (handle && (*handle)->version() != handle.id().version) ++wrong;
      },
      [this] { PublishAll(); });
  EXPECT_EQ(wrong, 0U);
  EXPECT_EQ(store_->stats().pins_in_use, 0U);
}

// A reset hides at once: after Reset(n) returned, nobody sees episode n - 1.
TEST_F(SnapshotStoreRaceTest, ResetHidesEarlierEpisodesFromEveryThreadAtOnce) {
  std::atomic<uint32_t> episode{kEpisode};
  std::atomic<uint64_t> ghosts{0};
  Race(
      [&](int i) {
        const uint32_t bound = episode.load();
        const BlockStore::Handle handle = store_->Latest(session_, readers_[i]);
        if (handle && handle.id().episode < bound) ++ghosts;
      },
      [&] {
        for (uint32_t next = kEpisode + 1; next < kEpisode + kVersions / 10; ++next) {
          ASSERT_EQ(Publish(Info(1, kEpoch, next - 1)), Rejection::kNone);
          ASSERT_TRUE(store_->Reset(session_, next).ok());
          episode = next;
        }
      });
  EXPECT_EQ(ghosts, 0U);
}

// Slots serve session after session; nobody gets another vehicle's version.
TEST_F(SnapshotStoreRaceTest, ReopenedSlotsNeverShowAnotherSession) {
  std::atomic<uint64_t> packed{0};  // slot << 32 | generation of the session open now
  std::atomic<uint64_t> foreign{0};
  Race(
      [&](int i) {
        const uint64_t now = packed.load();
        const SessionHandle session{static_cast<uint32_t>(now >> 32), static_cast<uint32_t>(now)};
        const BlockStore::Handle handle = store_->Latest(session, readers_[i]);
        // Sessions are opened with id = 1000 + generation.
        if (handle && handle.id().session != 1000 + session.generation) ++foreign;
      },
      [&] {
        ASSERT_TRUE(store_->Close(session_).ok());
        for (uint64_t id = 1; id < kVersions / 10; ++id) {
          const SessionHandle session = store_->Open(1001 + id, 1).value();
          ASSERT_EQ(session.slot, session_.slot);
          ASSERT_EQ(1000 + session.generation, 1001 + id);
          ASSERT_TRUE(store_->Fence(session, 1).ok());
          ASSERT_EQ(store_->Publish(session, {{1001 + id, 1, 1, 1}, 1, 1},
                                    std::make_unique<Block>(1, &census_)),
                    Rejection::kNone);
          packed = uint64_t{session.slot} << 32 | session.generation;
          ASSERT_TRUE(store_->Close(session).ok());
        }
      });
  EXPECT_EQ(foreign, 0U);
}

// Publishers of several sessions, the janitor and the readers at once; epochs change under way.
TEST_F(SnapshotStoreRaceTest, PublishersFencesAndJanitorShareTheStore) {
  store_->StartJanitor(absl::Microseconds(200));
  std::vector<SessionHandle> sessions = {session_};
  for (uint64_t id = 1; id <= 2; ++id) {
    sessions.push_back(store_->Open(id, kEpisode).value());
    ASSERT_TRUE(store_->Fence(sessions.back(), kEpoch).ok());
  }
  const uint64_t ids[] = {kSession, 1, 2};
  std::atomic<uint64_t> wrong{0};
  Race(
      [&](int i) {
        for (std::size_t s = 0; s < sessions.size(); ++s) {
          const BlockStore::Handle handle = store_->Latest(sessions[s], readers_[i]);
          if (handle &&
              (handle.id().session != ids[s] || (*handle)->version() != handle.id().version)) {
            ++wrong;
          }
        }
      },
      [&] {
        std::vector<std::thread> publishers;
        for (std::size_t s = 0; s < sessions.size(); ++s) {
          publishers.emplace_back([&, s] {
            uint64_t epoch = kEpoch;
            for (uint64_t version = 1; version <= kVersions / 5; ++version) {
              if (version % 100 == 0) (void)store_->Fence(sessions[s], ++epoch);
              const auto time = static_cast<SessionTimeUs>(version);
              store_->Publish(sessions[s], {{ids[s], kEpisode, epoch, version}, time, time},
                              std::make_unique<Block>(version, &census_));
            }
          });
        }
        for (std::thread& publisher : publishers) publisher.join();
      });
  EXPECT_EQ(wrong, 0U);
  EXPECT_EQ(store_->stats().published, 3 * (kVersions / 5));
}

// Promise 11 against readers that arrive while the drain begins: none gets a handle after it
// returned.
TEST_F(SnapshotStoreRaceTest, DrainLeavesNoHandleBehind) {
  Publish(1);
  std::atomic<bool> drained{false};
  std::atomic<uint64_t> late{0};
  Race(
      [&](int i) {
        const bool before = drained.load();
        const BlockStore::Handle handle = store_->Latest(session_, readers_[i]);
        if (handle && before) ++late;
      },
      [&] {
        EXPECT_TRUE(store_->Drain(absl::Seconds(60)).ok());
        drained = true;
      });
  EXPECT_EQ(late, 0U);
}

}  // namespace
}  // namespace automot::context
