// How much one client may ask of a service a second: requests and bytes, as token buckets.
//
// A bucket holds one second's worth and refills steadily. A request passes while its client's
// buckets are not empty, and is then charged in full: one that is larger than a whole bucket passes
// too and is paid for afterwards, by the wait of those behind it. What is refused is not charged.
//
// Thread-safe: one short lock. At most `clients` are remembered, the least recently seen is
// forgotten first; a forgotten client begins with full buckets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/time/clock.h"

namespace automot::rpc {

enum class ClientQuota : uint8_t { kSessions, kRequests, kBytes };

struct ClientQuotaOptions {
  uint32_t sessions = 0;             // open at once; 0: no limit. Counted where sessions are opened
  double requests_per_second = 0.0;  // 0: no limit
  double bytes_per_second = 0.0;     // 0: no limit
  std::size_t clients = 4096;        // remembered
};

class ClientQuotas {
 public:
  struct Verdict {
    absl::Status status;  // RESOURCE_EXHAUSTED naming client, quota, value and limit
    absl::Duration retry_after;
  };

  // `clock` must outlive it. `on_refused` is called for each refusal, on the caller's thread.
  ClientQuotas(const ClientQuotaOptions& options, const Clock* clock,
               std::function<void(ClientQuota)> on_refused = nullptr);

  // False where no rate has a limit: nobody then needs to know who calls.
  bool enabled() const {
    return options_.requests_per_second > 0.0 || options_.bytes_per_second > 0.0;
  }

  // `requests` of `client`, of `bytes` together as they came: all of them or none.
  Verdict Charge(const std::string& client, uint32_t requests, std::size_t bytes);

  std::size_t clients_remembered() const;

 private:
  struct Client {
    std::string name;
    double requests = 0.0;  // left in the bucket; below zero: owed
    double bytes = 0.0;
    absl::Duration filled;  // when the buckets were brought up to date
  };
  Client& Find(const std::string& name, absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Verdict Refuse(ClientQuota quota, const Client& client) const;

  const ClientQuotaOptions options_;
  const Clock* const clock_;
  const std::function<void(ClientQuota)> on_refused_;

  mutable std::mutex mutex_;
  std::list<Client> recent_ ABSL_GUARDED_BY(mutex_);  // most recently seen first
  absl::flat_hash_map<std::string, std::list<Client>::iterator> places_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace automot::rpc
