#include "services/reasoning/refresh_queue.h"

#include <algorithm>
#include <utility>

namespace automot::reasoning {
namespace {

// Camera periods are rounded to whole microseconds at the client: three frames at 30 Hz last 99,999
// us.
constexpr SessionTimeUs kPeriodSlackUs = 1'000;

}  // namespace

bool RefreshQueue::Due(const context::SlowObservation& observation,
                       SessionTimeUs frame_time_us) const {
  return !begun_ || observation.urgent || urgent_ ||
         frame_time_us - *begun_ >= options_.period_us - kPeriodSlackUs;
}

// The vehicle's clock runs as the wall's while a candidate waits.
absl::Duration RefreshQueue::UntilStale(SessionTimeUs frame_time_us) const {
  if (options_.staleness_budget_us == 0) return absl::Microseconds(options_.period_us);
  const SessionTimeUs age_us = frame_time_us - *begun_;
  return absl::Microseconds(std::max<SessionTimeUs>(0, options_.staleness_budget_us - age_us));
}

RefreshQueue::Outcome RefreshQueue::Offer(context::SlowObservationPtr observation,
                                          std::optional<SessionTimeUs> frame_time_us,
                                          absl::Duration now) {
  if (observation->history_only) return Outcome::kNotDue;
  const absl::Duration period = absl::Microseconds(options_.period_us);
  if (options_.lossless) {
    if (waiting_.size() >= options_.capacity) return Outcome::kFull;
    const SessionTimeUs time = frame_time_us.value_or(observation->ego.capture_time_us);
    waiting_.push_back({std::move(observation), time, now, now + period, now + period});
    return Outcome::kQueued;
  }
  if (!frame_time_us || (begun_ && *frame_time_us <= *begun_)) {
    urgent_ = urgent_ || observation->urgent;
    return Outcome::kNotDue;
  }
  const bool hurry = !begun_ || observation->urgent || urgent_;
  if (!waiting_.empty()) {
    RefreshCandidate& waiting = waiting_.front();
    if (*frame_time_us < waiting.frame_time_us) return Outcome::kNotDue;
    waiting.observation = std::move(observation);
    waiting.frame_time_us = *frame_time_us;
    if (hurry) waiting.due = waiting.deadline = std::min(waiting.deadline, now);
    return Outcome::kReplaced;
  }
  if (!Due(*observation, *frame_time_us)) return Outcome::kNotDue;
  waiting_.push_back({std::move(observation), *frame_time_us, now, hurry ? now : now + period,
                      hurry ? now : now + UntilStale(*frame_time_us)});
  return Outcome::kQueued;
}

RefreshCandidate RefreshQueue::Pop() {
  RefreshCandidate next = std::move(waiting_.front());
  waiting_.pop_front();
  begun_ = next.frame_time_us;
  urgent_ = false;
  return next;
}

}  // namespace automot::reasoning
