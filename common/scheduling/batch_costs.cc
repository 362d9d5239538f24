#include "common/scheduling/batch_costs.h"

#include <algorithm>

namespace automot {
namespace {

// A larger batch makes each of its members wait for the others: it must save this much per item.
constexpr double kWorthwhile = 0.95;

}  // namespace

BatchCosts::BatchCosts(int max_batch) : max_batch_(std::clamp(max_batch, 1, kLargestBatch)) {}

void BatchCosts::Observe(int batch, absl::Duration took) {
  Runs& runs = runs_.at(static_cast<std::size_t>(batch - 1));
  runs.last_ns.at(runs.seen++ % kWindow) = std::max<int64_t>(1, absl::ToInt64Nanoseconds(took));
  int64_t longest = 0, second = 0;
  for (const int64_t ns : runs.last_ns) {
    second = std::max(second, std::min(ns, longest));
    longest = std::max(longest, ns);
  }
  runs.cost_ns.store(runs.seen < kFew ? longest : second, std::memory_order_relaxed);
}

absl::Duration BatchCosts::Cost(int batch) const {
  return absl::Nanoseconds(
      runs_.at(static_cast<std::size_t>(batch - 1)).cost_ns.load(std::memory_order_relaxed));
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
