#include "services/egodriver/geometry/route_change.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace automot::egodriver {
namespace {

// Distance to the old route; 0 where the point lies before its beginning or beyond its end.
double Off(absl::Span<const Vec2> route, Vec2 point) {
  double nearest = std::numeric_limits<double>::infinity();
  bool beside = false;
  for (std::size_t i = 1; i < route.size(); ++i) {
    const Vec2 a = route[i - 1], b = route[i];
    const double dx = b.x - a.x, dy = b.y - a.y, length2 = dx * dx + dy * dy;
    if (!(length2 > 0.0)) continue;
    const double ratio = ((point.x - a.x) * dx + (point.y - a.y) * dy) / length2;
    const double on = std::clamp(ratio, 0.0, 1.0);
    const double off = std::hypot(point.x - a.x - on * dx, point.y - a.y - on * dy);
    if (off >= nearest) continue;
    nearest = off;
    const bool before = i == 1 && ratio < 0.0, beyond = i + 1 == route.size() && ratio > 1.0;
    beside = !before && !beyond;
  }
  return beside ? nearest : 0.0;
}

}  // namespace

bool RouteChanged(absl::Span<const Vec2> before, absl::Span<const Vec2> now) {
  return std::any_of(now.begin(), now.end(),
                     [&](Vec2 point) { return Off(before, point) > kSameRouteM; });
}

}  // namespace automot::egodriver
