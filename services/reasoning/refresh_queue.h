// The refresh work of one session: which observations deserve a refresh, and which of them is next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "absl/time/time.h"
#include "common/context/slow_observation.h"

namespace automot::reasoning {

struct RefreshCandidate {
  context::SlowObservationPtr observation;
  SessionTimeUs frame_time_us = 0;  // newest camera frame that the refresh may use
  absl::Duration accepted;          // monotonic wall time
  absl::Duration due;               // monotonic wall time: later than this it is late
  absl::Duration deadline;          // monotonic wall time; orders sessions, expires nothing
};

// Not thread-safe. Two disciplines:
//   newest wins  at most one candidate waits; a newer observation replaces it and inherits its
//                deadline, so that a session that submits fast is never pushed back by its own
//                submissions. A refresh is due when `period_us` of session time has passed since
//                the frame of the last one begun, or at once for an urgent observation. Its
//                deadline is when the context that serves meanwhile will be older than the
//                staleness budget.
//   lossless     every observation that asks for a refresh gets one, in order; beyond `capacity`
//                waiting ones it is refused. Its deadline is a period after it came.
class RefreshQueue {
 public:
  struct Options {
    bool lossless = false;
    std::size_t capacity = 16;  // lossless only
    SessionTimeUs period_us = 500'000;
    SessionTimeUs staleness_budget_us = 0;  // newest wins only; 0: none, the period stands for it
  };
  enum class Outcome { kQueued, kReplaced, kNotDue, kFull };

  explicit RefreshQueue(const Options& options) : options_(options) {}

  // Offers an observation whose newest usable frame is `frame_time_us`; `now` is monotonic wall
  // time. An urgent observation without a frame newer than the last refresh's makes the next one
  // with such a frame urgent.
  Outcome Offer(context::SlowObservationPtr observation, std::optional<SessionTimeUs> frame_time_us,
                absl::Duration now);

  bool empty() const { return waiting_.empty(); }
  std::size_t size() const { return waiting_.size(); }
  // Requires !empty().
  absl::Duration deadline() const { return waiting_.front().deadline; }
  // Takes the next candidate; from then on its frame counts as refreshed. Requires !empty().
  RefreshCandidate Pop();

 private:
  bool Due(const context::SlowObservation& observation, SessionTimeUs frame_time_us) const;
  absl::Duration UntilStale(SessionTimeUs frame_time_us) const;

  Options options_;
  std::deque<RefreshCandidate> waiting_;
  std::optional<SessionTimeUs> begun_;  // frame time of the last refresh begun
  bool urgent_ = false;                 // an urgent observation still waits for a new frame
};

}  // namespace automot::reasoning
