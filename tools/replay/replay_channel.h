// The lane of a replay: nobody reasons, snapshots come out of the recording when the replay says
// so.
#pragma once

#include <map>
#include <mutex>

#include "absl/base/thread_annotations.h"
#include "common/context/snapshot_channel.h"

namespace automot::tools {

// Thread-safe. Receivers are called on the caller's thread.
class ReplayChannel final : public context::SnapshotChannel {
 public:
  absl::Status Attach(const context::AttachRequest& request,
                      context::SnapshotReceiver* receiver) override;
  absl::Status Submit(context::SlowObservationPtr) override { return absl::OkStatus(); }
  absl::Status Reset(uint64_t, uint32_t) override { return absl::OkStatus(); }
  void Detach(uint64_t session) override;
  context::Lane lane() const override { return context::Lane::kInProcess; }
  context::LinkStats stats() const override { return {}; }

  // Number of the session with that name; 0 where it is not attached.
  uint64_t SessionOf(const std::string& name) const;
  // Hands the snapshot to its session; nothing happens where it is not attached.
  void Publish(context::SnapshotPtr snapshot);

 private:
  struct Attachment {
    std::string name;
    context::SnapshotReceiver* receiver = nullptr;
  };
  mutable std::mutex mutex_;
  std::map<uint64_t, Attachment> attached_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace automot::tools
