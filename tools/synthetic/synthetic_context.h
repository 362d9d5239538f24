// Keys and values of a synthetic snapshot: the facts of what it was made from, at the start of its
// first and of its last tensor. Any thread.
#pragma once

#include <cstddef>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/context/context_snapshot.h"
#include "common/context/slow_observation.h"
#include "tools/synthetic/plan_proof.h"

namespace automot::synthetic {

// About `bytes` of keys and values, 16 KiB at least.
context::ContextLayout SyntheticLayout(std::size_t bytes);

// Facts of the snapshot `id` of the session `name`, made from `observation`.
ContextFacts FactsOf(const SnapshotId& id, std::string_view name,
                     const context::SlowObservation& observation);

void WriteFacts(const ContextFacts& facts, context::KvBuffer& keys_values);
// DATA_LOSS where the two copies differ.
absl::StatusOr<ContextFacts> ReadFacts(const context::KvBuffer& keys_values);

}  // namespace automot::synthetic
