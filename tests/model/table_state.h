// A fingerprint of what VersionTable keeps beside its atomics.
#pragma once

#include <cstdint>

#include "common/context/snapshot_store.h"

namespace automot::context {

struct VersionTableState {
  static uint64_t Fingerprint(const VersionTable& table);
  template <typename Payload>
  static uint64_t Fingerprint(const SnapshotStore<Payload>& store) {
    return Fingerprint(store.table_);
  }
};

}  // namespace automot::context
