// What holds the newest version for many readers: the store, and what one would use in its place.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

#include "common/context/snapshot_store.h"

namespace automot::benchmarks {

inline constexpr int kMostReaders = 8;

struct Version {
  uint64_t number = 0;
};
using VersionPtr = std::shared_ptr<const Version>;

// The three holders behind one shape: Publish(number), Read(thread) -> number.
class WaitFreeHolder {
 public:
  WaitFreeHolder() : store_(context::SnapshotStore<VersionPtr>::Create({.sessions = 64}).value()) {
    session_ = store_->Open(1, 1).value();
    (void)store_->Fence(session_, 1);
    for (context::ReaderSlot& reader : readers_) reader = store_->RegisterReader("bench").value();
  }
  void Publish(uint64_t number) {
    const auto time = static_cast<SessionTimeUs>(number);
    store_->Publish(session_, {{1, 1, 1, number}, time, time},
                    std::make_shared<const Version>(Version{number}));
  }
  // Finds the session by its number, as whoever has no handle of it does.
  bool Find() const { return store_->Find(1).ok(); }
  uint64_t Read(int thread) { return (*store_->Latest(session_, readers_[thread]))->number; }

 private:
  std::unique_ptr<context::SnapshotStore<VersionPtr>> store_;
  context::SessionHandle session_;
  context::ReaderSlot readers_[kMostReaders];
};

class MutexHolder {
 public:
  void Publish(uint64_t number) {
    auto version = std::make_shared<const Version>(Version{number});
    const std::lock_guard lock(mutex_);
    latest_ = std::move(version);
  }
  uint64_t Read(int) {
    VersionPtr copy;
    {
      const std::lock_guard lock(mutex_);
      copy = latest_;
    }
    return copy->number;
  }

 private:
  std::mutex mutex_;
  VersionPtr latest_;
};

class AtomicSharedPtrHolder {
 public:
  void Publish(uint64_t number) { latest_.store(std::make_shared<const Version>(Version{number})); }
  uint64_t Read(int) { return latest_.load()->number; }

 private:
  std::atomic<VersionPtr> latest_;
};

}  // namespace automot::benchmarks
