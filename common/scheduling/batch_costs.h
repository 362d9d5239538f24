// What runs of a batching worker cost by their size, as measured, and the size chosen from that.
//
// A batch is formed of what waits, never waited for. It is worth having only where an item costs
// less in it than alone, which is so where one item does not fill the device.
//
// Threads: one writer (Observe); everything else from any thread. Takes no lock, allocates nothing.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

namespace automot {

class BatchCosts {
 public:
  static constexpr int kLargestBatch = 16;

  // 1 <= max_batch <= kLargestBatch.
  explicit BatchCosts(int max_batch);

  // A run of `batch` items took `took` of wall time. 1 <= batch <= max_batch.
  void Observe(int batch, absl::Duration took);

  int max_batch() const { return max_batch_; }
  // Longest time to expect of a run: of the last kWindow runs the second longest, so that one run
  // which the machine held up does not count. The longest while there are few; zero before the
  // first.
  absl::Duration Cost(int batch) const;
  // Least time per item over all sizes seen. Zero where none was.
  absl::Duration BestCost() const;
  // Time to expect for `items` items in the runs that take least time together.
  absl::Duration TimeFor(int64_t items) const;

  // Size of the next run where `waiting` >= 1 items wait and the earliest deadline is `slack` away:
  // the size with the least time per item among those that keep the deadline, among all where none
  // does. What waits behind the batch ends no later for it.
  int Choose(int waiting, absl::Duration slack) const;

 private:
  static constexpr std::size_t kWindow = 32, kFew = 8;
  // Of one size.
  struct Runs {
    std::array<int64_t, kWindow> last_ns{};  // the writer's
    std::size_t seen = 0;                    // the writer's
    std::atomic<int64_t> cost_ns{0};
  };

  const int max_batch_;
  std::array<Runs, kLargestBatch> runs_{};  // [batch - 1]
};

}  // namespace automot
