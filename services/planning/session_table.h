// Names to sessions, bounded. Handlers and maintenance only: the planning thread gets sessions by
// pointer.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/planning/session.h"

namespace automot::planning {

// Thread-safe.
class SessionTable {
 public:
  // `client_limit`: sessions of one client; 0: no limit of its own.
  SessionTable(uint32_t limit, uint32_t client_limit)
      : limit_(limit), client_limit_(client_limit) {}

  // RESOURCE_EXHAUSTED naming the client where it has as many sessions as it may. The same is asked
  // again by Insert: this spares the work before it.
  absl::Status CheckClient(const std::string& client) const;
  // ALREADY_EXISTS, or RESOURCE_EXHAUSTED naming the limit.
  absl::Status Insert(std::shared_ptr<Session> session);
  // Null where unknown.
  std::shared_ptr<Session> Find(const std::string& name) const;
  // NOT_FOUND where unknown, ABORTED where `lease` is not the session's newest. Another writer may
  // come as soon as it returns: who changes the session asks again under its lock.
  absl::StatusOr<std::shared_ptr<Session>> FindForWriter(const std::string& name,
                                                         uint64_t lease) const;
  // The same of one session: NOT_FOUND where it is closed.
  static absl::Status CheckWriter(const Session& session, uint64_t lease)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(session.mutex);
  // Removes exactly this session; false where another one has the name.
  bool Erase(const Session& session);
  std::vector<std::shared_ptr<Session>> All() const;
  uint32_t size() const;

 private:
  absl::Status CheckClientLocked(const std::string& client) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const uint32_t limit_;
  const uint32_t client_limit_;
  mutable std::mutex mutex_;
  absl::flat_hash_map<std::string, std::shared_ptr<Session>> sessions_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, uint32_t> of_client_ ABSL_GUARDED_BY(mutex_);  // above zero
};

}  // namespace automot::planning
