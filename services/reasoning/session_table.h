// The sessions that the reasoning service works for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/reasoning/attachment.h"
#include "services/reasoning/camera_history.h"
#include "services/reasoning/refresh_queue.h"
#include "services/reasoning/vision_cache.h"

namespace automot::reasoning {

// Bounds of what sessions may hold. Every one is enforced.
struct SessionLimits {
  std::size_t sessions = 64;
  std::size_t listeners_per_session = 16;
  std::size_t history_frames = CameraHistory::kDefaultCapacity;
  std::size_t cached_features = VisionCache::kDefaultCapacity;
  std::size_t lossless_queue = 16;
};

struct ReasoningSession {
  std::string name;
  AttachmentPtr owner;  // null: only listeners are left
  std::vector<AttachmentPtr> listeners;
  uint32_t episode = 0;
  uint64_t newest_epoch = 0;  // of the owner, or of the last one while listeners wait for the next
  uint64_t next_version = 1;  // of the owner's epoch
  uint64_t superseded = 0;    // observations replaced before use, since attach
  CameraHistory history;
  std::shared_ptr<VisionCache> cache;  // used by the worker alone
  std::optional<RefreshQueue> refreshes;
  uint64_t newest_sequence = 0;  // of the newest refresh candidate of the episode
  SessionTimeUs newest_time_us = 0;

  uint64_t epoch() const { return owner == nullptr ? 0 : owner->request().epoch; }
};

// Not thread-safe. A session is found by its name, or by the number that its consumer attached
// under; pointers stay valid until the session's last consumer is gone.
class SessionTable {
 public:
  explicit SessionTable(const SessionLimits& limits) : limits_(limits) {}

  // Makes `request`'s consumer the owner of the session with a clean history, creating the session
  // where needed. `replaced` is the owner before, or null. RESOURCE_EXHAUSTED: the session limit.
  // ABORTED: an epoch not above the one in force, or that was while listeners are left.
  absl::StatusOr<ReasoningSession*> Attach(const context::AttachRequest& request,
                                           context::SnapshotReceiver* receiver, SnapshotSink* sink,
                                           AttachmentPtr* replaced);
  // Adds a listener. NOT_FOUND: no such session. RESOURCE_EXHAUSTED: the listener limit.
  absl::StatusOr<AttachmentPtr> Listen(const context::AttachRequest& request,
                                       context::SnapshotReceiver* receiver, SnapshotSink* sink);
  // Removes a consumer, in force or fenced, and returns it, or null.
  AttachmentPtr Remove(uint64_t consumer);

  // Starts an episode: history, features and waiting work go.
  void StartEpisode(ReasoningSession& session, uint32_t episode);

  // The session that `request` would attach to; null: none yet.
  const ReasoningSession* Find(const context::AttachRequest& request) const;
  ReasoningSession* FindByName(const std::string& name);
  ReasoningSession* FindByConsumer(uint64_t consumer);
  // Sessions whose refresh waits and may begin, the earliest deadline first.
  std::vector<ReasoningSession*> ByDeadline();
  bool HasWork() const;
  // Refreshes a second that the owners have declared.
  double declared_rate_hz() const;

  std::vector<AttachmentPtr> All() const;
  std::size_t size() const { return by_name_.size(); }
  std::size_t owners() const;
  const SessionLimits& limits() const { return limits_; }

 private:
  std::shared_ptr<context::ReceiverGate> TakeOver(ReasoningSession& session, uint64_t consumer);

  SessionLimits limits_;
  std::map<std::string, ReasoningSession> by_name_;
  std::unordered_map<uint64_t, ReasoningSession*> by_consumer_;
  std::unordered_map<uint64_t, AttachmentPtr>
      fenced_;  // replaced by another consumer, until removed
};

}  // namespace automot::reasoning
