#include "tools/replay/replay_channel.h"

#include <utility>

namespace automot::tools {

absl::Status ReplayChannel::Attach(const context::AttachRequest& request,
                                   context::SnapshotReceiver* receiver) {
  const std::lock_guard lock(mutex_);
  attached_[request.session] = {request.session_name, receiver};
  return absl::OkStatus();
}

void ReplayChannel::Detach(uint64_t session) {
  const std::lock_guard lock(mutex_);
  attached_.erase(session);
}

uint64_t ReplayChannel::SessionOf(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [session, attachment] : attached_) {
    if (attachment.name == name) return session;
  }
  return 0;
}

void ReplayChannel::Publish(context::SnapshotPtr snapshot) {
  context::SnapshotReceiver* receiver = nullptr;
  {
    const std::lock_guard lock(mutex_);
    const auto at = attached_.find(snapshot->header.id.session);
    if (at == attached_.end()) return;
    receiver = at->second.receiver;
  }
  // Only the replay's own thread closes sessions, so the receiver lives.
  receiver->OnSnapshot(std::move(snapshot));
}

}  // namespace automot::tools
