// The reasoning replicas that this process knows, and which of them a session goes to: each session
// ranks them by rendezvous (common/rpc/rendezvous_hash.h), so that every planner that knows the
// same addresses chooses the same, and one that goes moves only its own sessions.
//
// On the completion thread only, but for construction.
#pragma once

#include <grpcpp/channel.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "services/planning/lane/region_peer.h"

namespace automot::planning {

struct Endpoint {
  std::string address;
  std::shared_ptr<grpc::Channel> channel;
  std::shared_ptr<RegionPeer> peer;  // of the same producer; null: no shared memory
};
using EndpointPtr = std::shared_ptr<const Endpoint>;

class EndpointSet {
 public:
  using Connect = std::function<EndpointPtr(const std::string& address, const std::string& source)>;
  explicit EndpointSet(Connect connect) : connect_(std::move(connect)) {}

  // From now on `source` (a flag's word: an address, or a name) stands for `addresses`. Endpoints
  // that stay keep their connections.
  void Update(const std::string& source, const std::vector<std::string>& addresses);

  // `keep` where it is here and not in `avoid`; else the first in the session's order that is not
  // in `avoid`. Null: there is none.
  EndpointPtr Choose(const std::string& session_name, const std::string& keep,
                     const std::set<std::string>& avoid) const;

  bool Has(const std::string& address) const { return endpoints_.contains(address); }
  std::size_t size() const { return endpoints_.size(); }
  // Answers nobody who still waits for a connection. The last call.
  void Close();

 private:
  const Connect connect_;
  std::map<std::string, std::vector<std::string>> sources_;
  std::map<std::string, EndpointPtr> endpoints_;
};

}  // namespace automot::planning
