// What the store's tests share: a payload that knows whether it is alive, and shorthand for one
// session.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "common/context/snapshot_store.h"
#include "gtest/gtest.h"

namespace automot::context {

// Counts payloads alive and remembers which threads destroyed some.
struct Census {
  std::atomic<int> alive{0};
  std::atomic<int> most_alive{0};
  std::atomic<bool> destroyed_by_reader{false};
};
inline thread_local bool this_thread_reads = false;

// Every word holds the version; the destructor poisons them.
class Block {
 public:
  static constexpr uint64_t kPoison = 0xDEADDEADDEADDEADULL;

  Block(uint64_t version, Census* census) : census_(census) {
    words_.fill(version);
    const int alive = census_->alive.fetch_add(1) + 1;
    int most = census_->most_alive.load();
    while (alive > most && !census_->most_alive.compare_exchange_weak(most, alive)) {
    }
  }
  ~Block() {
    words_.fill(kPoison);
    if (this_thread_reads) census_->destroyed_by_reader = true;
    census_->alive.fetch_sub(1);
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  // The version if every word agrees, else kPoison.
  uint64_t version() const {
    for (uint64_t word : words_) {
      if (word != words_[0]) return kPoison;
    }
    return words_[0];
  }

 private:
  Census* census_;
  std::array<uint64_t, 64> words_;
};

using BlockStore = SnapshotStore<std::unique_ptr<Block>>;

class RecordingObserver : public StoreObserver {
 public:
  void OnTransition(const Transition& transition) override { seen.push_back(transition); }
  std::vector<Transition> seen;
};

inline constexpr uint64_t kSession = 77;
inline constexpr uint32_t kEpisode = 3;
inline constexpr uint64_t kEpoch = 1000;

// Capture time 100 ms per version unless given; visible at once.
inline VersionInfo Info(uint64_t version, uint64_t epoch = kEpoch, uint32_t episode = kEpisode) {
  const auto capture = static_cast<SessionTimeUs>(version) * 100'000;
  return {{kSession, episode, epoch, version}, capture, capture};
}

class SnapshotStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    Make({.sessions = 4, .retained = 3, .readers = 4, .pins_per_reader = 4});
  }

  void Make(const StoreOptions& options) {
    store_.reset();
    auto store = BlockStore::Create(options, &observer_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    reader_ = store_->RegisterReader("planner").value();
    session_ = store_->Open(kSession, kEpisode).value();
    ASSERT_TRUE(store_->Fence(session_, kEpoch).ok());
  }

  Rejection Publish(const VersionInfo& info) {
    return store_->Publish(session_, info, std::make_unique<Block>(info.id.version, &census_));
  }
  Rejection Publish(uint64_t version) { return Publish(Info(version)); }
  BlockStore::Handle Latest() { return store_->Latest(session_, reader_); }
  // 0 when there is none.
  uint64_t LatestVersion() {
    const BlockStore::Handle handle = Latest();
    return handle ? (*handle)->version() : 0;
  }

  Census census_;
  RecordingObserver observer_;
  std::unique_ptr<BlockStore> store_;
  ReaderSlot reader_;
  SessionHandle session_;
};

}  // namespace automot::context
