// Labels whose values are known before the first observation, so that the number of series is
// bounded and finding one is an index.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

namespace automot::metrics {

// One label of a family and every value it may take.
struct LabelValues {
  std::string name;
  std::vector<std::string> values;
};

// The declared rate as a label (semantics 10).
inline constexpr std::array<const char*, 8> kRateHzLabels = {"1",  "2",  "5",   "10",
                                                             "20", "50", "100", "other"};
inline constexpr std::array<double, 7> kRatesHz = {1, 2, 5, 10, 20, 50, 100};

// Index into kRateHzLabels; a rate within 1 % of a named one counts as that one.
inline std::size_t RateIndex(double rate_hz) {
  for (std::size_t i = 0; i < kRatesHz.size(); ++i) {
    if (std::abs(rate_hz - kRatesHz[i]) <= 0.01 * kRatesHz[i]) return i;
  }
  return kRatesHz.size();
}

inline LabelValues RateHzLabel() {
  return {"rate_hz", {kRateHzLabels.begin(), kRateHzLabels.end()}};
}

// The canonical status codes in lower case, indexed by absl::StatusCode's number.
inline constexpr std::array<const char*, 17> kCodeLabels = {
    "ok",        "cancelled",      "unknown",           "invalid_argument",   "deadline_exceeded",
    "not_found", "already_exists", "permission_denied", "resource_exhausted", "failed_precondition",
    "aborted",   "out_of_range",   "unimplemented",     "internal",           "unavailable",
    "data_loss", "unauthenticated"};

// Index into kCodeLabels; numbers beyond the canonical ones are "unknown".
inline std::size_t CodeIndex(int code) {
  return code >= 0 && code < static_cast<int>(kCodeLabels.size()) ? static_cast<std::size_t>(code)
                                                                  : 2;
}

inline LabelValues CodeLabel() { return {"code", {kCodeLabels.begin(), kCodeLabels.end()}}; }

}  // namespace automot::metrics
