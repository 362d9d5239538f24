#include "services/reasoning/camera_history.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace automot::reasoning {
namespace {

// First frame with a capture time above `time_us`.
auto After(const std::deque<CameraFramePtr>& frames, SessionTimeUs time_us) {
  return std::upper_bound(frames.begin(), frames.end(), time_us,
                          [](SessionTimeUs time, const CameraFramePtr& frame) {
                            return time < frame->capture_time_us;
                          });
}

}  // namespace

bool CameraHistory::Add(CameraFramePtr frame) {
  const auto after = After(frames_, frame->capture_time_us);
  if (after != frames_.begin() && (*std::prev(after))->capture_time_us == frame->capture_time_us) {
    return false;
  }
  if (frames_.size() == capacity_) {
    if (after == frames_.begin()) return false;
    frames_.insert(after, std::move(frame));
    frames_.pop_front();
    return true;
  }
  frames_.insert(after, std::move(frame));
  return true;
}

std::optional<SessionTimeUs> CameraHistory::NewestUntil(SessionTimeUs time_us) const {
  const auto after = After(frames_, time_us);
  if (after == frames_.begin()) return std::nullopt;
  return (*std::prev(after))->capture_time_us;
}

const CameraFramePtr& CameraHistory::FrameFor(SessionTimeUs place_us, SessionTimeUs anchor_us,
                                              SessionTimeUs tolerance_us) const {
  const auto newer = After(frames_, place_us);
  const auto older = newer == frames_.begin() ? frames_.end() : std::prev(newer);
  const bool newer_usable = newer != frames_.end() && (*newer)->capture_time_us <= anchor_us &&
                            (*newer)->capture_time_us - place_us <= tolerance_us;
  if (older == frames_.end()) return frames_.front();
  const SessionTimeUs older_error = place_us - (*older)->capture_time_us;
  if (newer_usable && (*newer)->capture_time_us - place_us < older_error) return *newer;
  return *older;
}

std::optional<HistorySelection> CameraHistory::Select(const HistoryGrid& grid,
                                                      SessionTimeUs time_us) const {
  const std::optional<SessionTimeUs> anchor = NewestUntil(time_us);
  if (!anchor) return std::nullopt;
  HistorySelection selection;
  for (int i = grid.frames - 1; i >= 0; --i) {
    const SessionTimeUs place = *anchor - i * grid.spacing_us;
    const CameraFramePtr& frame = FrameFor(place, *anchor, grid.tolerance_us);
    selection.error_us =
        std::max<SessionTimeUs>(selection.error_us, std::llabs(frame->capture_time_us - place));
    selection.frames.push_back(frame);
  }
  selection.short_history = selection.error_us > grid.tolerance_us;
  return selection;
}

}  // namespace automot::reasoning
