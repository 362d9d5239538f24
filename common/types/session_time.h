// Bounds of session time, and periods in it.
#pragma once

#include <algorithm>

#include "common/types/observation.h"

namespace automot {

// No capture time is further from 0, so that sums and differences stay numbers (observation.proto).
inline constexpr SessionTimeUs kMaxSessionTimeUs = 9'000'000'000'000'000;

// Of a rate above 0, in Hz. Near zero it is longer than any session's time, and still a number.
inline SessionTimeUs PeriodUs(double rate_hz) {
  return static_cast<SessionTimeUs>(
      std::min(1e6 / rate_hz, static_cast<double>(kMaxSessionTimeUs)));
}

}  // namespace automot
