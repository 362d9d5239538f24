// How many refreshes share one run of the understanding expert: measured costs per batch size, and
// the choice made from them.
//
// A batch is formed of what waits, never waited for. It is worth having only where a vehicle costs
// less in it than alone, which is so where one sequence does not fill the device.
#pragma once

#include <vector>

#include "absl/time/time.h"

namespace automot::reasoning {

// Not thread-safe.
class RefreshBatching {
 public:
  explicit RefreshBatching(int max_batch);

  // A run of `batch` refreshes took `took` of wall time. 1 <= batch <= max_batch.
  void Observe(int batch, absl::Duration took);
  // Longest time to expect of a run: rises at once, falls slowly. Zero where none was seen.
  absl::Duration Cost(int batch) const;

  // Least time per refresh over all sizes seen. Zero where none was.
  absl::Duration BestCost() const;

  // Size of the next run where `waiting` >= 1 sessions wait and the earliest deadline is `slack`
  // away: the size with the least time per refresh among those that keep the deadline, among all
  // where none does.
  int Choose(int waiting, absl::Duration slack) const;

 private:
  std::vector<absl::Duration> costs_;  // [batch - 1]
};

}  // namespace automot::reasoning
