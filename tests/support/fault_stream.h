// One seed's stream of snapshots, and what a receiver may make of it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "common/context/header_check.h"
#include "common/faults/fault_plan.h"

namespace automot::test_support {

inline constexpr int kStreamVersions = 3;  // the good one, and two that the faults may touch

// The snapshots of all streams: the same few contents under ever new versions. Const from any
// thread.
class StreamSource {
 public:
  explicit StreamSource(const context::ContextLayout& layout);

  // Undamaged messages of `version`; `session` and `epoch` as the receiver expects them.
  std::vector<faults::WireMessage> Good(uint64_t session, uint64_t version) const;
  context::SnapshotExpectation Expectation(uint64_t session) const;
  // Empty where `snapshot` is `version` of this source, byte for byte; else what differs.
  std::string Difference(const context::ContextSnapshot& snapshot, uint64_t session,
                         uint64_t version) const;

 private:
  std::array<context::SnapshotPtr, kStreamVersions> contents_;  // by version modulo their number
  std::array<std::vector<faults::WireMessage>, kStreamVersions> messages_;
};

}  // namespace automot::test_support
