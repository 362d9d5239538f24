#include "tools/loadgen/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace automot::loadgen {
namespace {

constexpr int64_t kLargestUs = (int64_t{1} << 36) - 1;

}  // namespace

std::size_t LatencyHistogram::BucketOf(uint64_t us) {
  if (us < kLinear) return us;
  const int shift = std::bit_width(us) - std::bit_width(unsigned{kLinear} - 1);
  // The top eight bits: 128 .. 255, of which the first one is known.
  const uint64_t top = us >> static_cast<unsigned>(shift);
  return kLinear + static_cast<std::size_t>(shift - 1) * kSubBuckets + (top - kSubBuckets);
}

uint64_t LatencyHistogram::UpperEnd(std::size_t bucket) {
  if (bucket < kLinear) return bucket;
  const std::size_t above = bucket - kLinear;
  const auto shift = static_cast<unsigned>(above / kSubBuckets + 1);
  const uint64_t top = above % kSubBuckets + kSubBuckets;
  return ((top + 1) << shift) - 1;
}

void LatencyHistogram::Record(absl::Duration value) {
  const int64_t us = std::clamp<int64_t>(absl::ToInt64Microseconds(value), 0, kLargestUs);
  ++counts_.at(BucketOf(static_cast<uint64_t>(us)));
  ++count_;
  sum_us_ += static_cast<uint64_t>(us);
  max_us_ = std::max(max_us_, us);
}

void LatencyHistogram::Merge(const LatencyHistogram& other) {
  for (std::size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_us_ += other.sum_us_;
  max_us_ = std::max(max_us_, other.max_us_);
}

absl::Duration LatencyHistogram::mean() const {
  if (count_ == 0) return absl::ZeroDuration();
  return absl::Microseconds(static_cast<double>(sum_us_) / static_cast<double>(count_));
}

absl::Duration LatencyHistogram::Percentile(double fraction) const {
  if (count_ == 0) return absl::ZeroDuration();
  const double wanted = std::ceil(fraction * static_cast<double>(count_));
  const uint64_t rank = std::clamp<uint64_t>(static_cast<uint64_t>(wanted), 1, count_);
  uint64_t seen = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    seen += counts_[i];
    if (seen >= rank) {
      return absl::Microseconds(std::min(static_cast<int64_t>(UpperEnd(i)), max_us_));
    }
  }
  return max();
}

}  // namespace automot::loadgen
