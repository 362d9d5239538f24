// Numbers that the planning thread may touch: atomics of fixed size, no lock, no allocation, no
// wait. Any number of threads write and one scrape reads at the same time.
//
// A scrape is not a cut through time: numbers of one series may differ by what was observed
// meanwhile, but the buckets of a histogram always add up to its count.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>

namespace automot::metrics {

class TickCounter {
 public:
  void Add(uint64_t count = 1) { value_.fetch_add(count, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

class TickGauge {
 public:
  void Set(double value) { value_.store(value, std::memory_order_relaxed); }
  void Add(double value) { value_.fetch_add(value, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  static_assert(std::atomic<double>::is_always_lock_free);
  std::atomic<double> value_{0.0};
};

// Upper bounds of a histogram's buckets, inclusive, increasing, in the metric's unit. At most
// kCapacity: a longer list does not compile where it is constexpr.
class BucketBounds {
 public:
  static constexpr std::size_t kCapacity = 24;
  constexpr BucketBounds(std::initializer_list<double> bounds) : size_(bounds.size()) {
    std::ranges::copy(bounds, bounds_.begin());
  }
  constexpr std::span<const double> values() const { return {bounds_.data(), size_}; }

 private:
  std::array<double, kCapacity> bounds_{};
  std::size_t size_;
};

class TickHistogram {
 public:
  // `bounds` must outlive the histogram.
  explicit TickHistogram(const BucketBounds* bounds) : bounds_(bounds) {}

  // Not-a-number counts in the last bucket, as in every comparison that it loses.
  void Observe(double value) {
    const std::span<const double> bounds = bounds_->values();
    std::size_t i = 0;
    while (i < bounds.size() && !(value <= bounds[i])) ++i;
    counts_[i].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
  }

  const BucketBounds& bounds() const { return *bounds_; }
  // Observations of bucket i alone; i = bounds().values().size() is the one without an upper bound.
  uint64_t count(std::size_t i) const { return counts_[i].load(std::memory_order_relaxed); }
  double sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  const BucketBounds* const bounds_;
  std::array<std::atomic<uint64_t>, BucketBounds::kCapacity + 1> counts_{};
  std::atomic<double> sum_{0.0};
};

}  // namespace automot::metrics
