// When ticks are meant to start. Intended times depend on the clock at the start and on the seed,
// never on how long answers take: nothing that the server does moves them (open loop).
#pragma once

#include <cstdint>
#include <random>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace automot::loadgen {

// Load as a multiple of the vehicles' rates over the time since the start: `from` at first, `to`
// from `over` on, straight between them.
struct Ramp {
  double from = 1.0;
  double to = 1.0;
  absl::Duration over;

  double At(absl::Duration since_start) const;
  Ramp Times(double factor) const { return {from * factor, to * factor, over}; }
};

// FROM:TO:SECONDS, such as 0.5:2:30. INVALID_ARGUMENT naming the part and its limits.
absl::StatusOr<Ramp> ParseRamp(absl::string_view text);

// One vehicle's intended starts. Not thread-safe.
class TickSchedule {
 public:
  struct Options {
    double rate_hz = 10.0;
    double jitter = 0.0;  // 0 .. 1: each start is moved by up to half of that part of a period
    Ramp ramp;
    uint64_t seed = 0;  // of the first tick's place in its period, and of the jitter
  };
  explicit TickSchedule(const Options& options);

  // The next intended start after the run's start; never smaller than the one before.
  absl::Duration Next();

 private:
  const Options options_;
  std::mt19937_64 random_;
  absl::Duration grid_;  // without jitter
  absl::Duration last_;
};

}  // namespace automot::loadgen
