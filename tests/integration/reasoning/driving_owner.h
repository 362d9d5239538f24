// A session's planning owner that never gives up: a store that is read all the time, and a link
// that is attached again under the next epoch after it went down.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "common/context/snapshot_channel.h"
#include "common/context/snapshot_store.h"

namespace automot {

class DrivingOwner final : public context::SnapshotReceiver {
 public:
  using Store = context::SnapshotStore<context::SnapshotPtr>;
  using Observe = std::function<context::SlowObservationPtr(SessionTimeUs)>;
  static constexpr uint64_t kSession = 1;

  DrivingOwner(std::string revision, Observe observe)
      : revision_(std::move(revision)), observe_(std::move(observe)) {
    store_ = Store::Create({.sessions = 1, .retained = 2, .readers = 2}).value();
    session_ = store_->Open(kSession, 1).value();
    reader_ = store_->RegisterReader("planner").value();
    test_reader_ = store_->RegisterReader("test").value();
  }
  ~DrivingOwner() override { StopReading(); }

  // The channel must go before this object does.
  void Drive(context::SnapshotChannel* channel) {
    channel_ = channel;
    AttachNext();
  }
  // Plans without pause, on a thread of its own: every read must give a version, never an older
  // one.
  void StartReading() {
    planner_ = std::thread([this] { Read(); });
  }
  void StopReading() {
    done_ = true;
    if (planner_.joinable()) planner_.join();
  }
  uint64_t reads() const { return reads_; }
  uint64_t planner_errors() const { return errors_; }

  // True once `count` snapshots have been published; false after 30 s. Observes now and then
  // meanwhile, as a vehicle does: the message that would have answered may be lost. A link that
  // went down is attached again at the same pace: without one, attempts that fail at once would
  // keep the channel's thread from the very connection that they wait for.
  bool WaitForSnapshots(uint64_t count) {
    return DriveUntil([&] { return published_ >= count; });
  }
  // The same for one of a later epoch: what was on its way when a connection was cut may still
  // come, and counts as published.
  bool WaitForSnapshotAfter(uint64_t epoch) {
    return DriveUntil([&] { return newest_epoch_ > epoch; });
  }
  uint64_t published() const {
    const std::lock_guard lock(mutex_);
    return published_;
  }
  // The epoch of a newer attachment than any before.
  uint64_t epoch() const {
    const std::lock_guard lock(mutex_);
    return epoch_;
  }
  uint64_t rejected() const {
    const std::lock_guard lock(mutex_);
    return rejected_;
  }
  // The last events, for a failed test.
  std::string Trace() const {
    const std::lock_guard lock(mutex_);
    return trace_.substr(trace_.size() - std::min<std::size_t>(trace_.size(), 3000));
  }
  Store::Handle Latest() const { return store_->Latest(session_, test_reader_); }

  // SnapshotReceiver.
  void OnSnapshot(context::SnapshotPtr snapshot) override {
    const context::SnapshotHeader& header = snapshot->header;
    const context::VersionInfo info{header.id, header.capture_time_us, header.capture_time_us};
    const bool taken = store_->Publish(session_, info, snapshot) == context::Rejection::kNone;
    Note("snapshot " + std::to_string(header.capture_time_us), absl::OkStatus());
    {
      const std::lock_guard lock(mutex_);
      ++(taken ? published_ : rejected_);
      if (taken) newest_epoch_ = header.id.epoch;
      changed_.notify_all();
    }
    SubmitNext();
  }
  void OnRefreshFailed(uint64_t, SessionTimeUs time_us, const absl::Status& why) override {
    Note("refresh of " + std::to_string(time_us) + " failed", why);
    SubmitNext();
  }
  void OnLinkState(context::LinkState state, const absl::Status& why) override {
    Note(context::ToString(state), why);
    {
      const std::lock_guard lock(mutex_);
      attach_wanted_ = state == context::LinkState::kDown;
    }
    if (state == context::LinkState::kUp) SubmitNext();
  }

 private:
  // `condition` is looked at under the lock.
  bool DriveUntil(const std::function<bool()>& condition) {
    for (int i = 0; i < 6000; ++i) {
      bool attach = false;
      {
        std::unique_lock lock(mutex_);
        if (changed_.wait_for(lock, std::chrono::milliseconds(5), condition)) return true;
        attach = std::exchange(attach_wanted_, false);
      }
      if (attach) AttachNext();
      SubmitNext();
    }
    return false;
  }

  void AttachNext() {
    context::AttachRequest request{
        .session = kSession, .episode = 1, .session_name = "car", .model_revision = revision_};
    {
      const std::lock_guard lock(mutex_);
      request.epoch = ++epoch_;
    }
    EXPECT_TRUE(store_->Fence(session_, request.epoch).ok());
    EXPECT_TRUE(channel_->Attach(request, this).ok());
  }
  void Note(const std::string& event, const absl::Status& status) {
    const std::lock_guard lock(mutex_);
    trace_ += event + (status.ok() ? "" : " (" + status.ToString() + ")") + "\n";
  }
  void SubmitNext() {
    SessionTimeUs time = 0;
    {
      const std::lock_guard lock(mutex_);
      time = time_us_ += 500'000;
    }
    // The link may have gone down again: the next one begins with this.
    Note("submit " + std::to_string(time), channel_->Submit(observe_(time)));
  }
  void Read() {
    SnapshotId seen;
    while (!done_) {
      const Store::Handle handle = store_->Latest(session_, reader_);
      const bool good = handle && (*handle)->header.id == handle.id() &&
                        (!seen.valid() || PublicationOrder(handle.id(), seen) >= 0);
      if (good) seen = handle.id();
      errors_ += good ? 0 : 1;
      ++reads_;
      std::this_thread::yield();
    }
  }

  const std::string revision_;
  const Observe observe_;
  std::unique_ptr<Store> store_;
  context::SessionHandle session_;
  context::ReaderSlot reader_, test_reader_;
  context::SnapshotChannel* channel_ = nullptr;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t epoch_ = 0, newest_epoch_ = 0, published_ = 0, rejected_ = 0;
  SessionTimeUs time_us_ = 0;
  bool attach_wanted_ = false;
  std::string trace_;
  std::atomic<bool> done_{false};
  std::atomic<uint64_t> reads_{0}, errors_{0};
  std::thread planner_;
};

}  // namespace automot
