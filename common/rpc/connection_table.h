// Which of the connections that a server was given are still open, in all and by host.
//
// The server closes them without saying so. A connection is known by its descriptor and the inode
// behind it: when the number is closed, or stands for another file, it is gone. That is looked up
// only when a limit is reached, and not more often than every `kSweepPeriod`.
//
// One thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "common/time/clock.h"

namespace automot::rpc {

struct ConnectionLimits {
  uint32_t all = 4096;
  uint32_t host = 2048;  // of one host: it never takes all
};

class ConnectionTable {
 public:
  static constexpr absl::Duration kSweepPeriod = absl::Milliseconds(50);

  // `clock` must outlive the table.
  ConnectionTable(const ConnectionLimits& limits, const Clock* clock)
      : limits_(limits), clock_(clock) {}

  // Takes the open socket `fd` into account; false where a limit is reached: close it. `host` is
  // empty where only the limit of all holds.
  bool Admit(int fd, const std::string& host);

  // As far as is known without looking.
  std::size_t size() const { return open_.size(); }

 private:
  struct Connection {
    dev_t device = 0;
    ino_t inode = 0;
    std::string host;
  };
  bool Full(const std::string& host) const;
  void Forget(const Connection& connection);
  void Sweep();

  const ConnectionLimits limits_;
  const Clock* const clock_;
  absl::flat_hash_map<int, Connection> open_;
  absl::flat_hash_map<std::string, uint32_t> of_host_;  // above zero
  absl::Duration next_sweep_ = -absl::InfiniteDuration();
};

}  // namespace automot::rpc
