// When a session's context refreshes are due in session time, and which one a plan must wait for
// (semantics 1 and 5).
//
// - REALTIME: every observation is a refresh candidate (newest wins at the producer); a plan waits
//   for none.
// - STEPPED: a refresh is due every 1/reasoning_rate of session time. A plan at t needs the newest
//   due refresh captured at or before t - simulated latency.
// - LOCKSTEP: every `lockstep_ticks`-th observation is due, and its plan and the following ones
//   need it.
//
// Not thread-safe. Pure: no clock.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>

#include "services/planning/session_options.h"

namespace automot::planning {

class RefreshSchedule {
 public:
  explicit RefreshSchedule(const SessionOptions& options) : options_(options) {}

  // True where the observation at `capture_us`, whose newest camera frame is of `frame_us`, asks
  // for a refresh. `early` makes it due ahead of the schedule (changed route).
  bool Offer(SessionTimeUs capture_us, SessionTimeUs frame_us, bool early) {
    if (options_.time_mode == TimeMode::kRealtime) return true;
    const bool due =
        options_.time_mode == TimeMode::kLockstep
            ? observations_ % options_.lockstep_ticks == 0
            : !last_due_us_ || capture_us - *last_due_us_ >= options_.RefreshPeriodUs();
    ++observations_;
    if (!due && !early) return false;
    if (due) last_due_us_ = capture_us;
    due_frames_us_.push_back(frame_us);
    if (due_frames_us_.size() > kMaxDue) due_frames_us_.pop_front();
    return true;
  }

  // Capture time that the context of a plan at `capture_us` must have at least.
  std::optional<SessionTimeUs> Required(SessionTimeUs capture_us) const {
    for (auto due = due_frames_us_.rbegin(); due != due_frames_us_.rend(); ++due) {
      if (*due + options_.simulated_latency_us <= capture_us) return *due;
    }
    return std::nullopt;
  }

  // True where the frame captured at `frame_us` was asked to be refreshed.
  bool Asked(SessionTimeUs frame_us) const {
    return std::find(due_frames_us_.begin(), due_frames_us_.end(), frame_us) !=
           due_frames_us_.end();
  }

  // The refresh of `frame_us` never reached the producer: nothing waits for it, and the next
  // observation is due.
  void Retract(SessionTimeUs frame_us) {
    std::erase(due_frames_us_, frame_us);
    observations_ = 0;
    last_due_us_.reset();
  }

  void Reset() {
    observations_ = 0;
    last_due_us_.reset();
    due_frames_us_.clear();
  }

 private:
  static constexpr size_t kMaxDue = 1024;  // 10 s of simulated latency at 100 Hz

  const SessionOptions options_;
  uint64_t observations_ = 0;
  std::optional<SessionTimeUs> last_due_us_;
  std::deque<SessionTimeUs> due_frames_us_;
};

}  // namespace automot::planning
