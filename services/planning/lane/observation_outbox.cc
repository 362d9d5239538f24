#include "services/planning/lane/observation_outbox.h"

#include <algorithm>
#include <limits>

namespace automot::planning {
namespace {

SessionTimeUs NewestFrameTime(const context::SlowObservation& observation) {
  SessionTimeUs newest = observation.ego.capture_time_us;
  for (const CameraFramePtr& frame : observation.frames) {
    newest = std::max(newest, frame->capture_time_us);
  }
  return newest;
}

}  // namespace

void ObservationOutbox::AddFrame(const CameraFramePtr& frame) {
  const auto at = std::lower_bound(
      ring_.begin(), ring_.end(), frame->capture_time_us,
      [](const Entry& entry, SessionTimeUs time) { return entry.frame->capture_time_us < time; });
  if (at != ring_.end() && at->frame->capture_time_us == frame->capture_time_us) return;
  ring_.insert(at, {frame, false});
  if (ring_.size() > options_.ring_frames) ring_.pop_front();
}

ObservationOutbox::Outcome ObservationOutbox::Add(const context::SlowObservationPtr& observation) {
  for (const CameraFramePtr& frame : observation->frames) AddFrame(frame);
  if (carrier_ == nullptr || observation->ego.capture_time_us >= carrier_->ego.capture_time_us) {
    carrier_ = observation;
  }
  if (observation->history_only) return Outcome::kAccepted;
  if (options_.lossless) {
    // Offered again under a new attachment while it still waits here.
    if (std::find(candidates_.begin(), candidates_.end(), observation) != candidates_.end()) {
      return Outcome::kAccepted;
    }
    if (candidates_.size() >= options_.lossless_capacity) return Outcome::kFull;
    candidates_.push_back(observation);
    return Outcome::kAccepted;
  }
  const bool superseded = !candidates_.empty();
  if (superseded && candidates_.front()->urgent && !observation->urgent) {
    // The reason to hurry outlives the observation that brought it.
    auto hurried = std::make_shared<context::SlowObservation>(*observation);
    hurried->urgent = true;
    candidates_.assign(1, std::move(hurried));
    return Outcome::kSuperseded;
  }
  candidates_.assign(1, observation);
  return superseded ? Outcome::kSuperseded : Outcome::kAccepted;
}

std::vector<const ObservationOutbox::Entry*> ObservationOutbox::Unsent(
    SessionTimeUs until_us) const {
  std::vector<const Entry*> unsent;
  for (const Entry& entry : ring_) {
    if (!entry.sent && entry.frame->capture_time_us <= until_us) unsent.push_back(&entry);
  }
  return unsent;
}

std::vector<const ObservationOutbox::Entry*> ObservationOutbox::UnsentOnGrid(
    SessionTimeUs until_us) const {
  std::vector<SessionTimeUs> times;
  for (const Entry& entry : ring_) {
    if (entry.frame->capture_time_us <= until_us) times.push_back(entry.frame->capture_time_us);
  }
  std::vector<const Entry*> unsent;
  const std::optional<HistoryChoice> choice = ChooseHistory(options_.grid, times);
  for (int i = 0; choice && i < choice->frames; ++i) {
    const Entry& entry = ring_.at(choice->places.at(static_cast<std::size_t>(i)).index);
    if (!entry.sent && (unsent.empty() || unsent.back() != &entry)) unsent.push_back(&entry);
  }
  return unsent;
}

std::optional<ObservationOutbox::Batch> ObservationOutbox::Next() const {
  const SessionTimeUs until = candidates_.empty() ? std::numeric_limits<SessionTimeUs>::max()
                                                  : NewestFrameTime(*candidates_.front());
  std::vector<const Entry*> frames = Unsent(until);
  Batch batch;
  if (candidates_.empty()) {
    if (frames.empty()) return std::nullopt;
    batch.observation = carrier_;
    batch.history_only = true;
    // The newest are the ones that a future grid reaches.
    if (frames.size() > options_.batch_frames) {
      frames.erase(frames.begin(),
                   frames.end() - static_cast<std::ptrdiff_t>(options_.batch_frames));
    }
  } else {
    batch.observation = candidates_.front();
    if (frames.size() > options_.batch_frames) frames = UnsentOnGrid(until);
    if (frames.size() > options_.batch_frames) {
      frames.resize(options_.batch_frames);
      batch.history_only = true;
    }
  }
  for (const Entry* entry : frames) batch.frames.push_back(entry->frame);
  return batch;
}

void ObservationOutbox::Acknowledge(const Batch& batch) {
  for (Entry& entry : ring_) {
    for (const CameraFramePtr& frame : batch.frames) {
      entry.sent = entry.sent || entry.frame == frame;
    }
  }
  if (batch.history_only || candidates_.empty() || candidates_.front() != batch.observation) return;
  candidates_.pop_front();
  submitted_.push_back(batch.observation);
  if (submitted_.size() > (options_.lossless ? options_.lossless_capacity : 1)) {
    submitted_.pop_front();
  }
}

void ObservationOutbox::Discard(const Batch& batch) {
  std::erase_if(ring_, [&batch](const Entry& entry) {
    return std::ranges::find(batch.frames, entry.frame) != batch.frames.end();
  });
  std::erase(candidates_, batch.observation);
  std::erase(submitted_, batch.observation);
}

void ObservationOutbox::Answered(SessionTimeUs capture_us) {
  std::erase_if(submitted_, [capture_us](const context::SlowObservationPtr& observation) {
    return observation->ego.capture_time_us <= capture_us;
  });
}

void ObservationOutbox::MarkUnsent() {
  for (Entry& entry : ring_) entry.sent = false;
  candidates_.insert(candidates_.begin(), submitted_.begin(), submitted_.end());
  submitted_.clear();
  SetLossless(options_.lossless);
}

void ObservationOutbox::Clear() {
  ring_.clear();
  candidates_.clear();
  submitted_.clear();
  carrier_.reset();
}

void ObservationOutbox::SetLossless(bool lossless) {
  options_.lossless = lossless;
  if (!lossless && candidates_.size() > 1) {
    candidates_.erase(candidates_.begin(), candidates_.end() - 1);
  }
}

}  // namespace automot::planning
