#include "services/planning/policy/history_grid.h"

#include <algorithm>
#include <cstdlib>

namespace automot::planning {
namespace {

std::size_t FrameFor(SessionTimeUs place_us, SessionTimeUs tolerance_us,
                     absl::Span<const SessionTimeUs> times_us) {
  const auto* const newer = std::upper_bound(times_us.begin(), times_us.end(), place_us);
  const auto index = static_cast<std::size_t>(newer - times_us.begin());
  if (index == 0) return 0;
  if (newer == times_us.end()) return index - 1;
  const SessionTimeUs newer_error = *newer - place_us, older_error = place_us - *(newer - 1);
  return newer_error <= tolerance_us && newer_error < older_error ? index : index - 1;
}

}  // namespace

std::optional<HistoryChoice> ChooseHistory(const HistoryGrid& grid,
                                           absl::Span<const SessionTimeUs> capture_times_us) {
  if (capture_times_us.empty() || grid.frames < 1 || grid.frames > HistoryGrid::kMaxFrames) {
    return std::nullopt;
  }
  HistoryChoice choice;
  choice.frames = grid.frames;
  for (int i = 0; i < grid.frames; ++i) {
    const SessionTimeUs place_us =
        capture_times_us.back() - (grid.frames - 1 - i) * grid.spacing_us;
    HistoryPlace& place = choice.places[i];
    place.index = FrameFor(place_us, grid.tolerance_us, capture_times_us);
    place.error_us = capture_times_us[place.index] - place_us;
    if (std::llabs(place.error_us) > grid.tolerance_us) choice.short_history = true;
  }
  return choice;
}

}  // namespace automot::planning
