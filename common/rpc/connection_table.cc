#include "common/rpc/connection_table.h"

#include <sys/stat.h>

namespace automot::rpc {

bool ConnectionTable::Full(const std::string& host) const {
  if (open_.size() >= limits_.all) return true;
  if (host.empty()) return false;
  const auto count = of_host_.find(host);
  return count != of_host_.end() && count->second >= limits_.host;
}

void ConnectionTable::Forget(const Connection& connection) {
  const auto count = of_host_.find(connection.host);
  if (count != of_host_.end() && --count->second == 0) of_host_.erase(count);
}

void ConnectionTable::Sweep() {
  for (auto place = open_.begin(); place != open_.end();) {
    const auto here = place++;
    struct stat now{};
    const Connection& then = here->second;
    if (fstat(here->first, &now) == 0 && now.st_dev == then.device && now.st_ino == then.inode) {
      continue;
    }
    Forget(then);
    open_.erase(here);
  }
}

bool ConnectionTable::Admit(int fd, const std::string& host) {
  // The number is new, so whatever had it is closed.
  if (const auto before = open_.find(fd); before != open_.end()) {
    Forget(before->second);
    open_.erase(before);
  }
  if (Full(host) && clock_->Now() >= next_sweep_) {
    Sweep();
    next_sweep_ = clock_->Now() + kSweepPeriod;
  }
  struct stat now{};
  if (Full(host) || fstat(fd, &now) != 0) return false;
  open_.emplace(fd, Connection{now.st_dev, now.st_ino, host});
  if (!host.empty()) ++of_host_[host];
  return true;
}

}  // namespace automot::rpc
