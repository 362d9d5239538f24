// A reasoning producer in the test's hands: it keeps what it is given and publishes when told.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/context/receiver_gate.h"
#include "common/context/snapshot_channel.h"

namespace automot::context {

// Thread-safe. Receivers are called on the caller's thread, one call at a time per session, and not
// after Detach.
class FakeSnapshotChannel final : public SnapshotChannel {
 public:
  // What a test changes about a snapshot before it is published.
  using Edit = std::function<void(ContextSnapshot&)>;

  absl::Status Attach(const AttachRequest& request, SnapshotReceiver* receiver) override {
    const std::lock_guard lock(mutex_);
    ++attaches_;
    if (!attach_status_.ok()) return attach_status_;
    std::shared_ptr<Attachment>& slot = attached_[request.session_name];
    if (slot != nullptr) slot->pass.Revoke();
    slot = std::make_shared<Attachment>(
        request, receiver, slot != nullptr ? slot->pass.gate() : std::make_shared<ReceiverGate>());
    return absl::OkStatus();
  }
  absl::Status Submit(SlowObservationPtr observation) override {
    const std::lock_guard lock(mutex_);
    submitted_.push_back(std::move(observation));
    return submit_status_;
  }
  absl::Status Reset(uint64_t session, uint32_t episode) override {
    const std::lock_guard lock(mutex_);
    for (auto& [name, attachment] : attached_) {
      if (attachment->request.session == session) attachment->request.episode = episode;
    }
    return absl::OkStatus();
  }
  void Detach(uint64_t session) override {
    std::shared_ptr<Attachment> removed;
    {
      const std::lock_guard lock(mutex_);
      for (auto at = attached_.begin(); at != attached_.end(); ++at) {
        if (at->second->request.session != session) continue;
        removed = at->second;
        attached_.erase(at);
        break;
      }
    }
    if (removed != nullptr) removed->pass.RevokeAndWait();
  }
  Lane lane() const override { return Lane::kInProcess; }
  LinkStats stats() const override { return {}; }

  // Publishes the next version of session `name`, captured at `capture_us`; of any session where
  // the name is empty. False where it is not attached.
  bool Publish(SessionTimeUs capture_us, const Edit& edit = nullptr, const std::string& name = "") {
    const std::shared_ptr<Attachment> attachment = Find(name);
    if (attachment == nullptr) return false;
    auto snapshot = std::make_shared<ContextSnapshot>();
    {
      const std::lock_guard lock(mutex_);
      SnapshotHeader& header = snapshot->header;
      header.id = {attachment->request.session, attachment->request.episode,
                   attachment->request.epoch, ++attachment->versions};
      header.capture_time_us = capture_us;
      header.model_revision = "fake-revision";
    }
    if (edit) edit(*snapshot);
    return attachment->pass.Run([&] { attachment->receiver->OnSnapshot(std::move(snapshot)); });
  }

  // The refresh of the frame captured at `capture_us` produced nothing.
  void FailRefresh(SessionTimeUs capture_us, const absl::Status& why,
                   const std::string& name = "") {
    const std::shared_ptr<Attachment> attachment = Find(name);
    attachment->pass.Run([&] {
      attachment->receiver->OnRefreshFailed(attachment->request.session, capture_us, why);
    });
  }

  void SetLink(LinkState state, const absl::Status& why = absl::OkStatus(),
               const std::string& name = "") {
    const std::shared_ptr<Attachment> attachment = Find(name);
    attachment->pass.Run([&] { attachment->receiver->OnLinkState(state, why); });
  }

  void set_attach_status(absl::Status status) {
    const std::lock_guard lock(mutex_);
    attach_status_ = std::move(status);
  }
  void set_submit_status(absl::Status status) {
    const std::lock_guard lock(mutex_);
    submit_status_ = std::move(status);
  }
  std::vector<SlowObservationPtr> submitted() const {
    const std::lock_guard lock(mutex_);
    return submitted_;
  }
  // Attempts, those that failed included.
  int attaches() const {
    const std::lock_guard lock(mutex_);
    return attaches_;
  }
  AttachRequest request(const std::string& name = "") const {
    const std::shared_ptr<Attachment> attachment = Find(name);
    const std::lock_guard lock(mutex_);
    return attachment->request;
  }
  bool attached(const std::string& name = "") const { return Find(name) != nullptr; }

 private:
  struct Attachment {
    Attachment(const AttachRequest& request, SnapshotReceiver* receiver,
               std::shared_ptr<ReceiverGate> gate)
        : request(request), receiver(receiver), pass(std::move(gate)) {}
    AttachRequest request;  // the episode changes, under mutex_
    SnapshotReceiver* const receiver;
    ReceiverPass pass;
    uint64_t versions = 0;  // under mutex_
  };

  std::shared_ptr<Attachment> Find(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    const auto at = name.empty() ? attached_.begin() : attached_.find(name);
    return at == attached_.end() ? nullptr : at->second;
  }

  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Attachment>> attached_;  // by the session's name
  std::vector<SlowObservationPtr> submitted_;
  absl::Status attach_status_, submit_status_;
  int attaches_ = 0;
};

}  // namespace automot::context
