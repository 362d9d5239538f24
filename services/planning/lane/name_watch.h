// One name of --reasoning-address, dns:HOST:PORT, looked up again and again: the endpoints of a
// Kubernetes headless service, as they come and go.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace automot::planning {

struct ReplicaName {
  std::string host;
  std::string port;
};

// Absent where `address` has no `dns:` before it, or is gRPC's own dns:///name:port, which is one
// endpoint. INVALID_ARGUMENT naming the flag where it has, and host or port are missing or wrong.
absl::StatusOr<std::optional<ReplicaName>> ParseReplicaName(std::string_view flag,
                                                            std::string_view address);

// Addresses of `name`, each host:port with brackets around IPv6. May block. UNAVAILABLE.
using Resolve = std::function<absl::StatusOr<std::vector<std::string>>(const ReplicaName& name)>;
// The system's resolver.
absl::StatusOr<std::vector<std::string>> ResolveBySystem(const ReplicaName& name);

// Looks up on a thread of its own, because resolvers block; at once, and then `interval` after each
// answer. An answer that is empty or an error leaves the last one standing: a resolver that is away
// takes no replica away.
class NameWatch {
 public:
  // `on_addresses` is called on the thread, sorted, where an answer differs from the one before.
  NameWatch(ReplicaName name, Resolve resolve, absl::Duration interval,
            std::function<void(const std::vector<std::string>&)> on_addresses);
  // Waits for a look-up under way.
  ~NameWatch();
  NameWatch(const NameWatch&) = delete;
  NameWatch& operator=(const NameWatch&) = delete;

 private:
  void Run();
  void LookUp();

  const ReplicaName name_;
  const Resolve resolve_;
  const absl::Duration interval_;
  const std::function<void(const std::vector<std::string>&)> on_addresses_;
  std::vector<std::string> last_;  // thread's own
  bool failed_ = false;            // thread's own; said once
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace automot::planning
