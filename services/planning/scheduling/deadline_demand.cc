#include "services/planning/scheduling/deadline_demand.h"

#include <algorithm>

namespace automot::planning {

DeadlineDemand::DeadlineDemand(const Options& options)
    : resolution_(options.resolution), slots_(options.slots) {}

int64_t DeadlineDemand::SlotOf(absl::Duration time) const {
  absl::Duration rest;
  return absl::IDivDuration(time, resolution_, &rest);
}

DeadlineDemand::Place DeadlineDemand::PlaceOf(absl::Duration now, absl::Duration order,
                                              bool firm) const {
  if (order == absl::InfiniteDuration()) return {};
  const int64_t furthest = SlotOf(now) + static_cast<int64_t>(slots_.size()) - 1;
  return {std::clamp(SlotOf(order), SlotOf(now), furthest), firm};
}

void DeadlineDemand::Add(const Place& place) {
  if (place.slot < 0) return;
  At(place.slot).plans.fetch_add(1, std::memory_order_relaxed);
  if (place.firm) At(place.slot).firm.fetch_add(1, std::memory_order_relaxed);
  int64_t furthest = furthest_.load(std::memory_order_relaxed);
  while (place.slot > furthest &&
         !furthest_.compare_exchange_weak(furthest, place.slot, std::memory_order_relaxed)) {
  }
}

void DeadlineDemand::Remove(const Place& place) {
  if (place.slot < 0) return;
  At(place.slot).plans.fetch_sub(1, std::memory_order_relaxed);
  if (place.firm) At(place.slot).firm.fetch_sub(1, std::memory_order_relaxed);
}

DeadlineDemand::Verdict DeadlineDemand::Test(absl::Duration now, absl::Duration free_at,
                                             const Place& place, absl::Duration deadline,
                                             const BatchCosts& costs) const {
  Verdict verdict{.fits = true};
  if (place.slot < 0) return verdict;  // it runs after all others
  const absl::Duration start = std::max(now, free_at);
  const int64_t first = SlotOf(now);
  const int64_t last = std::min(std::max(furthest_.load(std::memory_order_relaxed), place.slot),
                                first + static_cast<int64_t>(slots_.size()) - 1);
  int64_t due = 0;  // until the slot looked at
  for (int64_t slot = first; slot <= last; ++slot) {
    due += At(slot).plans.load(std::memory_order_relaxed);
    const bool own = slot == place.slot;
    if (slot < place.slot || (!own && At(slot).firm.load(std::memory_order_relaxed) == 0)) continue;
    const absl::Duration end = start + costs.TimeFor(due + 1);
    if (own) {
      verdict.ahead = due;
      verdict.needed = end - now;
      // Those accepted for the same slot may be due at its beginning.
      const bool shared = At(slot).firm.load(std::memory_order_relaxed) > 0;
      const absl::Duration due_at = shared ? std::min(deadline, slot * resolution_) : deadline;
      if (place.firm) verdict.missing = end - due_at;
    } else if (const absl::Duration late = end - slot * resolution_; late > verdict.missing) {
      verdict.missing = late;
      verdict.breaks_another = late > absl::ZeroDuration();
    }
  }
  verdict.fits = verdict.missing <= absl::ZeroDuration();
  return verdict;
}

}  // namespace automot::planning
