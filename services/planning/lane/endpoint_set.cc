#include "services/planning/lane/endpoint_set.h"

#include "common/rpc/rendezvous_hash.h"

namespace automot::planning {

void EndpointSet::Update(const std::string& source, const std::vector<std::string>& addresses) {
  sources_[source] = addresses;
  std::map<std::string, EndpointPtr> endpoints;
  for (const auto& [name, known] : sources_) {
    for (const std::string& address : known) {
      if (endpoints.contains(address)) continue;
      const auto at = endpoints_.find(address);
      endpoints.emplace(address, at != endpoints_.end() ? at->second : connect_(address, name));
    }
  }
  endpoints_ = std::move(endpoints);
}

EndpointPtr EndpointSet::Choose(const std::string& session_name, const std::string& keep,
                                const std::set<std::string>& avoid) const {
  std::vector<std::string> addresses;
  for (const auto& [address, endpoint] : endpoints_) {
    if (avoid.contains(address)) continue;
    if (address == keep) return endpoint;
    addresses.push_back(address);
  }
  if (addresses.empty()) return nullptr;
  return endpoints_.at(addresses[rpc::RendezvousChoice(session_name, addresses)]);
}

void EndpointSet::Close() {
  for (const auto& [address, endpoint] : endpoints_) {
    if (endpoint->peer != nullptr) endpoint->peer->Close();
  }
}

}  // namespace automot::planning
