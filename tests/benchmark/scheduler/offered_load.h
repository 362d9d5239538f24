// A planning loop under an open load: plans that wait on a timer instead of computing, with
// deadlines, arriving whatever became of those before.
#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace automot::benchmarks {

// Fleet: vehicles that ask 10 times a second each, with phases of their own and a jitter of a tenth
// of the period. Poisson: at random, as nothing in traffic does, but as bursty as independent
// askers can be.
enum class Arrivals : uint8_t { kFleet, kPoisson };

struct LoadOptions {
  Arrivals arrivals = Arrivals::kFleet;
  absl::Duration service = absl::Milliseconds(5);
  absl::Duration deadline = absl::Milliseconds(50);  // after the intended arrival
  uint64_t requests = 20'000;
  int clients = 4;
  uint64_t seed = 1;
};

struct LoadOutcome {
  double offered_per_s = 0.0;   // plans that were to arrive
  double in_time = 0.0;         // share of all requests answered by their deadlines
  double goodput_per_s = 0.0;   // of those
  double refused = 0.0;         // share refused at once
  double late = 0.0;            // share accepted and not answered in time
  double refusal_p99_ms = 0.0;  // from the call to its refusal
  uint64_t expired_ran = 0;     // plans begun after their deadlines
};

// Plans a second that the loop does when something always waits.
double MeasureCapacity(const LoadOptions& options);

// `rate_per_s`: mean of the arrivals. Latency counts from the intended arrivals.
LoadOutcome OfferLoad(const LoadOptions& options, double rate_per_s);

}  // namespace automot::benchmarks
