// What a replay found.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace automot::tools {

struct ReplayDifference {
  uint64_t index = 0;  // of the recorded entry
  std::string session;
  uint64_t sequence = 0;
  std::string field;
  std::string recorded;
  std::string replayed;
};

// Plans of one session that could not be done again, and why.
struct NotReplayed {
  std::string session;
  uint64_t plans = 0;
  std::string why;
};

struct ReplayReport {
  uint64_t sessions = 0;
  uint64_t plans = 0;                     // answered or refused by their tick, and compared
  uint64_t snapshots = 0;                 // handed over
  uint64_t differences = 0;               // plans and requests that differ
  std::optional<ReplayDifference> first;  // in the order of the recording
  std::vector<NotReplayed> not_replayed;

  void Add(ReplayDifference difference) {
    ++differences;
    if (!first || difference.index < first->index) first = std::move(difference);
  }
};

}  // namespace automot::tools
