// A reasoning producer in the test's hands: it keeps what it is given and publishes when told.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/context/snapshot_channel.h"

namespace automot::context {

class FakeSnapshotChannel final : public SnapshotChannel {
 public:
  absl::Status Attach(const AttachRequest& request, SnapshotReceiver* receiver) override {
    std::lock_guard lock(mutex_);
    attached_[request.session] = {request, receiver, 0};
    ++attaches_;
    return attach_status_;
  }
  absl::Status Submit(SlowObservationPtr observation) override {
    std::lock_guard lock(mutex_);
    submitted_.push_back(std::move(observation));
    return submit_status_;
  }
  absl::Status Reset(uint64_t session, uint32_t episode) override {
    std::lock_guard lock(mutex_);
    attached_[session].request.episode = episode;
    return absl::OkStatus();
  }
  void Detach(uint64_t session) override {
    std::lock_guard lock(mutex_);
    attached_.erase(session);
  }
  Lane lane() const override { return Lane::kInProcess; }
  LinkStats stats() const override { return {}; }

  // Publishes the next version of the only attached session, captured at `capture_us`.
  void Publish(SessionTimeUs capture_us, const std::string& revision = "fake-revision") {
    SnapshotReceiver* receiver = nullptr;
    auto snapshot = std::make_shared<ContextSnapshot>();
    {
      std::lock_guard lock(mutex_);
      Attachment& attachment = attached_.begin()->second;
      receiver = attachment.receiver;
      SnapshotHeader& header = snapshot->header;
      header.id = {attachment.request.session, attachment.request.episode, attachment.request.epoch,
                   ++attachment.versions};
      header.capture_time_us = capture_us;
      header.model_revision = revision;
      header.prompt.route_revision = route_revision_;
    }
    receiver->OnSnapshot(std::move(snapshot));
  }

  // The link of the only attached session changes its state.
  void SetLink(LinkState state, const absl::Status& why = absl::OkStatus()) {
    SnapshotReceiver* receiver = nullptr;
    {
      std::lock_guard lock(mutex_);
      receiver = attached_.begin()->second.receiver;
    }
    receiver->OnLinkState(state, why);
  }

  void set_route_revision(uint64_t revision) {
    std::lock_guard lock(mutex_);
    route_revision_ = revision;
  }
  void set_submit_status(absl::Status status) {
    std::lock_guard lock(mutex_);
    submit_status_ = std::move(status);
  }
  std::vector<SlowObservationPtr> submitted() const {
    std::lock_guard lock(mutex_);
    return submitted_;
  }
  int attaches() const {
    std::lock_guard lock(mutex_);
    return attaches_;
  }
  AttachRequest request() const {
    std::lock_guard lock(mutex_);
    return attached_.begin()->second.request;
  }
  bool attached() const {
    std::lock_guard lock(mutex_);
    return !attached_.empty();
  }

 private:
  struct Attachment {
    AttachRequest request;
    SnapshotReceiver* receiver = nullptr;
    uint64_t versions = 0;
  };
  mutable std::mutex mutex_;
  std::map<uint64_t, Attachment> attached_;
  std::vector<SlowObservationPtr> submitted_;
  absl::Status attach_status_, submit_status_;
  uint64_t route_revision_ = 0;
  int attaches_ = 0;
};

}  // namespace automot::context
