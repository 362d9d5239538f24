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
  explicit SessionTable(uint32_t limit) : limit_(limit) {}

  // ALREADY_EXISTS, or RESOURCE_EXHAUSTED naming the limit.
  absl::Status Insert(std::shared_ptr<Session> session);
  // Null where unknown.
  std::shared_ptr<Session> Find(const std::string& name) const;
  // NOT_FOUND where unknown, ABORTED where `lease` is not the session's newest.
  absl::StatusOr<std::shared_ptr<Session>> FindForWriter(const std::string& name,
                                                         uint64_t lease) const;
  // Removes exactly this session; false where another one has the name.
  bool Erase(const Session& session);
  std::vector<std::shared_ptr<Session>> All() const;
  uint32_t size() const;

 private:
  const uint32_t limit_;
  mutable std::mutex mutex_;
  absl::flat_hash_map<std::string, std::shared_ptr<Session>> sessions_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace automot::planning
