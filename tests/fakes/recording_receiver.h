// A planning owner's receiver that remembers what it was told, and lets a test wait for it.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/context/snapshot_channel.h"

namespace automot::fakes {

// Thread-safe.
class RecordingReceiver final : public context::SnapshotReceiver {
 public:
  static constexpr absl::Duration kPatience = absl::Seconds(30);

  void OnSnapshot(context::SnapshotPtr snapshot) override {
    std::lock_guard lock(mutex_);
    snapshots_.push_back(std::move(snapshot));
    changed_.notify_all();
  }
  void OnRefreshFailed(uint64_t, SessionTimeUs, const absl::Status& why) override {
    std::lock_guard lock(mutex_);
    failures_.push_back(why);
    changed_.notify_all();
  }
  void OnLinkState(context::LinkState state, const absl::Status& why) override {
    std::lock_guard lock(mutex_);
    link_states_.emplace_back(state, why);
    changed_.notify_all();
  }

  // True once there are `count`; false after kPatience.
  bool WaitForSnapshots(std::size_t count) const {
    return Wait([this, count] { return snapshots_.size() >= count; });
  }
  bool WaitForFailures(std::size_t count) const {
    return Wait([this, count] { return failures_.size() >= count; });
  }
  // True once the newest link state is `state`.
  bool WaitForLink(context::LinkState state) const {
    return Wait(
        [this, state] { return !link_states_.empty() && link_states_.back().first == state; });
  }
  // True once the link has been in `state` `count` times.
  bool WaitForLinkTimes(context::LinkState state, int count) const {
    return Wait([this, state, count] {
      int times = 0;
      for (const auto& entry : link_states_) times += entry.first == state ? 1 : 0;
      return times >= count;
    });
  }

  std::vector<context::SnapshotPtr> snapshots() const {
    std::lock_guard lock(mutex_);
    return snapshots_;
  }
  std::vector<absl::Status> failures() const {
    std::lock_guard lock(mutex_);
    return failures_;
  }
  std::vector<std::pair<context::LinkState, absl::Status>> link_states() const {
    std::lock_guard lock(mutex_);
    return link_states_;
  }

 private:
  bool Wait(const std::function<bool()>& until) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, absl::ToChronoMilliseconds(kPatience), until);
  }

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<context::SnapshotPtr> snapshots_;
  std::vector<absl::Status> failures_;
  std::vector<std::pair<context::LinkState, absl::Status>> link_states_;
};

}  // namespace automot::fakes
