// Identity of a context snapshot (semantics: sessions, episodes, ids).
#pragma once

#include <compare>
#include <cstdint>

namespace automot {

// Version v of epoch e of episode p of session s. Versions start at 1 in each epoch; 0 means
// "none". The epoch is minted by the planning owner at each attach; a reasoning producer never
// chooses one.
struct SnapshotId {
  uint64_t session = 0;
  uint32_t episode = 0;
  uint64_t epoch = 0;
  uint64_t version = 0;

  friend bool operator==(const SnapshotId&, const SnapshotId&) = default;
  bool valid() const { return version != 0; }
};

// Order of publication within one session: episode, then epoch, then version.
inline std::strong_ordering PublicationOrder(const SnapshotId& a, const SnapshotId& b) {
  if (auto order = a.episode <=> b.episode; order != 0) return order;
  if (auto order = a.epoch <=> b.epoch; order != 0) return order;
  return a.version <=> b.version;
}

}  // namespace automot
