// The planning side of a lane, as far as a snapshot goes: a channel, and the store in which what it
// delivers becomes visible.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "common/context/snapshot_channel.h"
#include "common/context/snapshot_store.h"

namespace automot::benchmarks {

// What a run of snapshots took.
struct DeliveryTimes {
  double wall_s = 0;               // first observation submitted to last snapshot visible
  double bytes = 0;                // payload, from the headers
  double bytes_copied = 0;         // of it, by the receiver
  std::vector<double> visible_ms;  // last K/V byte computed to visible, of each snapshot
};

// One session without loss: every observation brings one snapshot. One thread uses it.
class SnapshotConsumer final : private context::SnapshotReceiver {
 public:
  // Attaches at once. Throws std::runtime_error where that fails.
  explicit SnapshotConsumer(std::unique_ptr<context::SnapshotChannel> channel);
  ~SnapshotConsumer() override;

  // Has `snapshots` made with `ahead` of them asked for at any time. Throws std::runtime_error
  // where one fails or takes longer than a minute.
  DeliveryTimes Run(int snapshots, int ahead);

 private:
  using Store = context::SnapshotStore<context::SnapshotPtr>;

  void OnSnapshot(context::SnapshotPtr snapshot) override;
  void OnRefreshFailed(uint64_t session, SessionTimeUs capture_time_us,
                       const absl::Status& why) override;
  void OnLinkState(context::LinkState state, const absl::Status& why) override;
  void Submit();
  void WaitUntil(const std::function<bool()>& condition, std::unique_lock<std::mutex>& lock);

  std::unique_ptr<Store> store_;
  context::SessionHandle session_;
  SessionTimeUs time_us_ = 0;  // of the observation submitted last

  std::mutex mutex_;
  std::condition_variable changed_;
  context::LinkState link_ = context::LinkState::kDown;
  int arrived_ = 0;  // of this run
  DeliveryTimes times_;
  absl::Status failure_;

  std::unique_ptr<context::SnapshotChannel> channel_;  // last: it calls the receiver
};

}  // namespace automot::benchmarks
