#include "common/rpc/rendezvous_hash.h"

#include <algorithm>
#include <cstdint>
#include <numeric>

namespace automot::rpc {
namespace {

constexpr uint64_t kFnvOffset = 0xcbf29ce484222325U;
constexpr uint64_t kFnvPrime = 0x100000001b3U;

uint64_t Fnv1a(uint64_t hash, std::string_view text) {
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * kFnvPrime;
  return hash;
}

// FNV-1a leaves the high bits of short texts alike; the finalizer of SplitMix64 mixes them.
uint64_t Weight(std::string_view key, std::string_view replica) {
  uint64_t x = Fnv1a(Fnv1a(Fnv1a(kFnvOffset, replica), "\n"), key);
  x ^= x >> 30U;
  x *= 0xbf58476d1ce4e5b9U;
  x ^= x >> 27U;
  x *= 0x94d049bb133111ebU;
  return x ^ (x >> 31U);
}

}  // namespace

std::vector<std::size_t> RendezvousOrder(std::string_view key,
                                         std::span<const std::string> replicas) {
  std::vector<uint64_t> weights;
  weights.reserve(replicas.size());
  for (const std::string& replica : replicas) weights.push_back(Weight(key, replica));
  std::vector<std::size_t> order(replicas.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return weights[a] != weights[b] ? weights[a] > weights[b] : replicas[a] < replicas[b];
  });
  return order;
}

std::size_t RendezvousChoice(std::string_view key, std::span<const std::string> replicas) {
  return RendezvousOrder(key, replicas).front();
}

}  // namespace automot::rpc
