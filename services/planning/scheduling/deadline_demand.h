// What the accepted plans ask of the planning thread, by deadline: the admission test of an
// earliest-deadline-first queue.
//
// A plan is admitted where it and every plan accepted before it still end by their deadlines,
// however they are ordered by then: for each deadline, the time of all plans due until it must fit
// before it. So accepted work is never broken by work that is admitted later.
//
// Deadlines are kept in slots of `resolution`, each taken for its beginning, so a plan may be
// refused for at most one resolution of its deadline.
//
// Threads: Add and Remove from any thread; Test sees what was added before it on its own thread, so
// those who admit take turns (an admission mutex, which the planning thread never takes). Nothing
// here waits or allocates.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "common/scheduling/batch_costs.h"

namespace automot::planning {

class DeadlineDemand {
 public:
  struct Options {
    absl::Duration resolution = absl::Microseconds(500);
    uint32_t slots = 8192;  // deadlines further ahead than all of them count as the furthest
  };
  // A plan's place. Plans without a deadline have none: they run after all others.
  struct Place {
    int64_t slot = -1;  // -1: none
    bool firm = false;  // its deadline is one to keep, not only an order
  };
  struct Verdict {
    bool fits = false;
    int64_t ahead = 0;            // plans due no later
    absl::Duration needed;        // until the plan would end
    absl::Duration missing;       // by which it, or one accepted before, would be late
    bool breaks_another = false;  // it is an accepted one that would be late
  };

  explicit DeadlineDemand(const Options& options);

  // Of a plan that is ordered by `order`, on the clock of `now`.
  Place PlaceOf(absl::Duration now, absl::Duration order, bool firm) const;
  void Add(const Place& place);
  void Remove(const Place& place);

  // Whether a plan at `place` with `deadline` may join. `free_at`: when the planning thread is done
  // with what it runs.
  Verdict Test(absl::Duration now, absl::Duration free_at, const Place& place,
               absl::Duration deadline, const BatchCosts& costs) const;

 private:
  struct Slot {
    std::atomic<uint32_t> plans{0};
    std::atomic<uint32_t> firm{0};
  };
  Slot& At(int64_t slot) const { return slots_[static_cast<std::size_t>(slot) % slots_.size()]; }
  int64_t SlotOf(absl::Duration time) const;

  const absl::Duration resolution_;
  mutable std::vector<Slot> slots_;
  std::atomic<int64_t> furthest_{0};  // slot that anything was ever added to
};

}  // namespace automot::planning
