// Percentiles of durations in fixed memory, log-linear as HdrHistogram's: exact below 256
// microseconds, and above in 128 steps per power of two, so that a value is off by less than 1 in
// 128. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

namespace automot::loadgen {

class LatencyHistogram {
 public:
  // Negative durations count as zero, those above 2^36 microseconds (19 hours) as that.
  void Record(absl::Duration value);
  void Merge(const LatencyHistogram& other);

  uint64_t count() const { return count_; }
  absl::Duration max() const { return absl::Microseconds(max_us_); }  // exact; zero without values
  absl::Duration mean() const;                                        // exact; zero without values
  // The smallest recorded step that at least `fraction` (0 .. 1) of the values do not exceed, as
  // its upper end and never above max(). Zero without values.
  absl::Duration Percentile(double fraction) const;

  static constexpr int kSubBuckets = 128;  // per power of two: the bound of the error

 private:
  static constexpr int kLinear = 2 * kSubBuckets;
  static constexpr int kOctaves = 28;  // above the linear part: up to 2^36
  static constexpr std::size_t kBuckets = kLinear + kOctaves * kSubBuckets;
  static std::size_t BucketOf(uint64_t us);
  static uint64_t UpperEnd(std::size_t bucket);

  std::array<uint64_t, kBuckets> counts_{};
  uint64_t count_ = 0;
  uint64_t sum_us_ = 0;
  int64_t max_us_ = 0;
};

}  // namespace automot::loadgen
