#include "services/planning/session_table.h"

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace automot::planning {

absl::Status SessionTable::CheckClientLocked(const std::string& client) const {
  if (client_limit_ == 0) return absl::OkStatus();
  const auto found = of_client_.find(client);
  if (found == of_client_.end() || found->second < client_limit_) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat("client '", client.substr(0, 256), "' has ",
                                                   found->second, " sessions open; the limit is ",
                                                   client_limit_, " for one client"));
}

absl::Status SessionTable::CheckClient(const std::string& client) const {
  std::lock_guard lock(mutex_);
  return CheckClientLocked(client);
}

absl::Status SessionTable::Insert(std::shared_ptr<Session> session) {
  std::lock_guard lock(mutex_);
  if (sessions_.contains(session->name)) {
    return absl::AlreadyExistsError(absl::StrCat(
        "session '", session->name, "' is open; give its resume_token to take it over"));
  }
  if (sessions_.size() >= limit_) {
    return absl::ResourceExhaustedError(
        absl::StrCat(limit_, " sessions are open; the limit is ", limit_));
  }
  if (absl::Status allowed = CheckClientLocked(session->client); !allowed.ok()) return allowed;
  ++of_client_[session->client];
  std::string name = session->name;
  sessions_.emplace(std::move(name), std::move(session));
  return absl::OkStatus();
}

std::shared_ptr<Session> SessionTable::Find(const std::string& name) const {
  std::lock_guard lock(mutex_);
  const auto found = sessions_.find(name);
  return found == sessions_.end() ? nullptr : found->second;
}

absl::StatusOr<std::shared_ptr<Session>> SessionTable::FindForWriter(const std::string& name,
                                                                     uint64_t lease) const {
  std::shared_ptr<Session> session = Find(name);
  if (session == nullptr)
    return absl::NotFoundError(absl::StrCat("session '", name, "' is not open"));
  std::lock_guard lock(session->mutex);
  AUTOMOT_RETURN_IF_ERROR(CheckWriter(*session, lease));
  return session;
}

absl::Status SessionTable::CheckWriter(const Session& session, uint64_t lease) {
  if (session.state.closed)
    return absl::NotFoundError(absl::StrCat("session '", session.name, "' is not open"));
  if (session.state.lease == lease) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat("lease is ", lease, "; session '", session.name,
                                         "' is written under lease ", session.state.lease, " now"));
}

bool SessionTable::Erase(const Session& session) {
  std::lock_guard lock(mutex_);
  const auto found = sessions_.find(session.name);
  if (found == sessions_.end() || found->second.get() != &session) return false;
  sessions_.erase(found);
  if (const auto count = of_client_.find(session.client); --count->second == 0) {
    of_client_.erase(count);
  }
  return true;
}

std::vector<std::shared_ptr<Session>> SessionTable::All() const {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Session>> all;
  all.reserve(sessions_.size());
  for (const auto& [name, session] : sessions_) all.push_back(session);
  return all;
}

uint32_t SessionTable::size() const {
  std::lock_guard lock(mutex_);
  return static_cast<uint32_t>(sessions_.size());
}

}  // namespace automot::planning
