#include "services/reasoning/vision_cache.h"

#include <algorithm>

namespace automot::reasoning {
namespace {

constexpr auto kBefore = [](const auto& entry, SessionTimeUs time) { return entry.first < time; };

}  // namespace

std::shared_ptr<const VisionFeature> VisionCache::Find(SessionTimeUs capture_time_us) const {
  const auto at = std::lower_bound(features_.begin(), features_.end(), capture_time_us, kBefore);
  return at != features_.end() && at->first == capture_time_us ? at->second : nullptr;
}

void VisionCache::Insert(SessionTimeUs capture_time_us,
                         std::shared_ptr<const VisionFeature> feature) {
  const auto at = std::lower_bound(features_.begin(), features_.end(), capture_time_us, kBefore);
  if (at != features_.end() && at->first == capture_time_us) {
    at->second = std::move(feature);
    return;
  }
  features_.emplace(at, capture_time_us, std::move(feature));
  if (features_.size() > capacity_) features_.pop_front();
}

}  // namespace automot::reasoning
