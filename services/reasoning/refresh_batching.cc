#include "services/reasoning/refresh_batching.h"

#include <algorithm>
#include <cstddef>

namespace automot::reasoning {
namespace {

constexpr double kFall = 0.05;  // of the way to a shorter time, per run
// A larger batch makes each of its members wait for the others: it must save this much per refresh.
constexpr double kWorthwhile = 0.95;

}  // namespace

RefreshBatching::RefreshBatching(int max_batch)
    : costs_(static_cast<std::size_t>(std::max(1, max_batch))) {}

void RefreshBatching::Observe(int batch, absl::Duration took) {
  absl::Duration& cost = costs_.at(static_cast<std::size_t>(batch - 1));
  cost = took > cost ? took : cost + kFall * (took - cost);
}

absl::Duration RefreshBatching::Cost(int batch) const {
  return costs_.at(static_cast<std::size_t>(batch - 1));
}

absl::Duration RefreshBatching::BestCost() const {
  absl::Duration best = Cost(1);
  for (std::size_t i = 1; i < costs_.size(); ++i) {
    if (costs_[i] == absl::ZeroDuration()) continue;
    best = std::min(best, costs_[i] / static_cast<int64_t>(i + 1));
  }
  return best;
}

int RefreshBatching::Choose(int waiting, absl::Duration slack) const {
  const int largest = std::min(waiting, static_cast<int>(costs_.size()));
  const bool in_time = Cost(1) <= slack;  // otherwise throughput is what is left to win
  int best = 1;
  for (int batch = 2; batch <= largest; ++batch) {
    if (Cost(batch) == absl::ZeroDuration() || (in_time && Cost(batch) > slack)) continue;
    if (Cost(batch) / batch <= kWorthwhile * (Cost(best) / best)) best = batch;
  }
  return best;
}

}  // namespace automot::reasoning
