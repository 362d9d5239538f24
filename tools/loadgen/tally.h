// What came of the ticks of a run. Every intended tick has exactly one outcome; what an answer was
// like is counted beside it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "tools/loadgen/latency_histogram.h"

namespace automot::loadgen {

enum class Outcome : uint8_t {
  kOnTime,     // answered by its deadline
  kLate,       // answered after it, or given up because it had passed
  kRefused,    // over capacity, with a delay to retry after
  kFailed,     // anything else
  kCancelled,  // given up on purpose (chaos), or refused because it was made to be refused
  kUnsent,     // its deadline had passed before it could be sent
};
inline constexpr int kOutcomes = 6;
std::string_view ToString(Outcome outcome);

// Not thread-safe.
struct Tally {
  std::array<uint64_t, kOutcomes> outcomes{};
  uint64_t warm_up = 0;   // ticks that came before the measurement; in no other count but wrong
  uint64_t proven = 0;    // answers whose proof was checked, warm-up included
  uint64_t unproven = 0;  // answers that carry none: fallback, or of a server with a model
  uint64_t wrong = 0;     // answers that were another's in at least one way, warm-up included
  std::map<std::string, uint64_t> wrong_fields;  // in which ways
  std::map<std::string, uint64_t> reasons;       // flags of answers: STALE, FALLBACK, ...
  std::map<std::string, uint64_t> failures;      // kFailed by code
  std::map<std::string, uint64_t> acts;          // chaos that was done
  std::string wrong_example;                     // of the first wrong answer

  LatencyHistogram from_intended;  // of answers: what a vehicle feels
  LatencyHistogram from_sent;      // of answers: server and network
  LatencyHistogram server_queue;  // of answers, as the server says: waiting for the planning thread
  LatencyHistogram refusal;       // of refusals, from the sending
  LatencyHistogram retry_after;   // of refusals: the delay that the server named
  LatencyHistogram staleness;     // of answers with a context, session time

  uint64_t count(Outcome outcome) const { return outcomes[static_cast<std::size_t>(outcome)]; }
  void Count(Outcome outcome) { ++outcomes[static_cast<std::size_t>(outcome)]; }
  uint64_t intended() const;  // ticks of the measurement
  uint64_t answered() const { return from_intended.count(); }

  void Merge(const Tally& other);
};

}  // namespace automot::loadgen
