// A planning owner's receiver that remembers what it was told, and lets a test wait for it.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/context/snapshot_channel.h"

namespace automot::fakes {

// Thread-safe.
class RecordingReceiver final : public context::SnapshotReceiver {
 public:
  static constexpr absl::Duration kPatience = absl::Seconds(30);

  void OnSnapshot(context::SnapshotPtr snapshot) override {
    absl::MutexLock lock(&mutex_);
    snapshots_.push_back(std::move(snapshot));
  }
  void OnRefreshFailed(uint64_t, SessionTimeUs, const absl::Status& why) override {
    absl::MutexLock lock(&mutex_);
    failures_.push_back(why);
  }
  void OnLinkState(context::LinkState state, const absl::Status& why) override {
    absl::MutexLock lock(&mutex_);
    link_states_.emplace_back(state, why);
  }

  // True once there are `count`; false after kPatience.
  bool WaitForSnapshots(std::size_t count) const {
    return Wait([this, count]()
                    ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return snapshots_.size() >= count; });
  }
  bool WaitForFailures(std::size_t count) const {
    return Wait([this, count]()
                    ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return failures_.size() >= count; });
  }
  // True once the newest link state is `state`.
  bool WaitForLink(context::LinkState state) const {
    return Wait([this, state]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return !link_states_.empty() && link_states_.back().first == state;
    });
  }
  // True once the link has been in `state` `count` times.
  bool WaitForLinkTimes(context::LinkState state, int count) const {
    return Wait([this, state, count]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      int times = 0;
      for (const auto& entry : link_states_) times += entry.first == state ? 1 : 0;
      return times >= count;
    });
  }

  std::vector<context::SnapshotPtr> snapshots() const {
    absl::MutexLock lock(&mutex_);
    return snapshots_;
  }
  std::vector<absl::Status> failures() const {
    absl::MutexLock lock(&mutex_);
    return failures_;
  }
  std::vector<std::pair<context::LinkState, absl::Status>> link_states() const {
    absl::MutexLock lock(&mutex_);
    return link_states_;
  }

 private:
  bool Wait(const std::function<bool()>& until) const {
    absl::MutexLock lock(&mutex_);
    return mutex_.AwaitWithTimeout(absl::Condition(&until), kPatience);
  }

  mutable absl::Mutex mutex_;
  std::vector<context::SnapshotPtr> snapshots_ ABSL_GUARDED_BY(mutex_);
  std::vector<absl::Status> failures_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::pair<context::LinkState, absl::Status>> link_states_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace automot::fakes
