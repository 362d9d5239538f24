#include "common/scheduling/batch_costs.h"

#include <algorithm>

namespace automot {
namespace {

constexpr double kFall = 0.1;  // of the way to a shorter time, per run
// A larger batch makes each of its members wait for the others: it must save this much per item.
constexpr double kWorthwhile = 0.95;

}  // namespace

BatchCosts::BatchCosts(int max_batch) : max_batch_(std::clamp(max_batch, 1, kLargestBatch)) {}

void BatchCosts::Observe(int batch, absl::Duration took) {
  std::atomic<int64_t>& cost = costs_ns_.at(static_cast<std::size_t>(batch - 1));
  const int64_t before = cost.load(std::memory_order_relaxed);
  const int64_t now = std::max<int64_t>(1, absl::ToInt64Nanoseconds(took));
  const double fallen = kFall * static_cast<double>(now - before);
  cost.store(now > before ? now : before + static_cast<int64_t>(fallen), std::memory_order_relaxed);
}

absl::Duration BatchCosts::Cost(int batch) const {
  return absl::Nanoseconds(
      costs_ns_.at(static_cast<std::size_t>(batch - 1)).load(std::memory_order_relaxed));
}

absl::Duration BatchCosts::BestCost() const {
  absl::Duration best = Cost(1);
  for (int batch = 2; batch <= max_batch_; ++batch) {
    const absl::Duration each = Cost(batch) / batch;
    if (each > absl::ZeroDuration()) best = std::min(best, each);
  }
  return best;
}

absl::Duration BatchCosts::TimeFor(int64_t items) const {
  absl::Duration best = Cost(1) * items;
  for (int batch = 2; batch <= max_batch_; ++batch) {
    if (Cost(batch) == absl::ZeroDuration()) continue;
    best = std::min(best, Cost(batch) * ((items + batch - 1) / batch));
  }
  return best;
}

int BatchCosts::Choose(int waiting, absl::Duration slack) const {
  const int largest = std::min(waiting, max_batch_);
  const bool in_time = Cost(1) <= slack;  // otherwise throughput is what is left to win
  int best = 1;
  for (int batch = 2; batch <= largest; ++batch) {
    if (Cost(batch) == absl::ZeroDuration() || (in_time && Cost(batch) > slack)) continue;
    if (Cost(batch) / batch <= kWorthwhile * (Cost(best) / best)) best = batch;
  }
  return best;
}

}  // namespace automot
