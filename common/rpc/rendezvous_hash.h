// Which of several replicas serves a key: highest random weight ("rendezvous"). Everybody who knows
// the same names chooses the same; a replica that goes moves only its own keys, each to its next
// choice, and one that comes takes an equal share from each. Pure; any thread; free of gRPC.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace automot::rpc {

// Index of `key`'s replica. The order of `replicas` does not matter, their names do; equal names
// are one replica, and the first of them is given. Requires !replicas.empty().
std::size_t RendezvousChoice(std::string_view key, std::span<const std::string> replicas);

// All indices in the key's order of preference: where the first is away, the next one serves.
std::vector<std::size_t> RendezvousOrder(std::string_view key,
                                         std::span<const std::string> replicas);

}  // namespace automot::rpc
