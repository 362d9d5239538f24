// How regularly a loop serves each session: achieved period, jitter, missed ticks (semantics 10).
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "common/types/observation.h"

namespace automot::metrics {

// Not thread-safe. Allocates nothing after construction. Sessions whose keys differ by a multiple
// of kSlots share a place; the later one starts anew then, and one period goes unobserved.
class LoopPace {
 public:
  static constexpr std::size_t kSlots = 1024;

  struct Result {
    uint64_t session = 0;  // never 0
    uint32_t episode = 0;
    double wall_s = 0.0;  // monotonic
    SessionTimeUs capture_time_us = 0;
    double rate_hz = 0.0;    // declared
    bool real_time = false;  // the world goes on by itself, so that the wall's period is meant
    bool time_jump = false;  // session time jumped: what lies between was never due
  };
  struct Step {
    double period_s = 0.0;
    std::optional<double> jitter_s;  // in real time only
    uint64_t missed_ticks = 0;
  };

  // Nothing for the first result of a session's episode.
  std::optional<Step> Observe(const Result& result) {
    Last& last = slots_[result.session % kSlots];
    const Last before = last;
    last = {result.session, result.episode, result.wall_s, result.capture_time_us};
    if (before.session != result.session || before.episode != result.episode ||
        result.capture_time_us < before.capture_time_us || !(result.rate_hz > 0.0)) {
      return std::nullopt;
    }
    Step step;
    step.period_s = result.wall_s - before.wall_s;
    if (result.real_time) step.jitter_s = std::abs(step.period_s - 1.0 / result.rate_hz);
    const double ticks = static_cast<double>(result.capture_time_us - before.capture_time_us) *
                         1e-6 * result.rate_hz;
    if (!result.time_jump && ticks >= 1.5) {
      step.missed_ticks = static_cast<uint64_t>(std::llround(ticks)) - 1;
    }
    return step;
  }

 private:
  struct Last {
    uint64_t session = 0;
    uint32_t episode = 0;
    double wall_s = 0.0;
    SessionTimeUs capture_time_us = 0;
  };
  std::array<Last, kSlots> slots_{};
};

}  // namespace automot::metrics
