// Whether a route that slides along with its vehicle became another one. Pure.
#pragma once

#include "absl/types/span.h"
#include "common/types/geometry.h"

namespace automot::egodriver {

inline constexpr double kSameRouteM = 3.0;  // farther off it is another route

// True where a point of `now` that has the old route beside it, not before its beginning or beyond
// its end, lies more than kSameRouteM off. Both in one frame, finite. A first route is no change.
bool RouteChanged(absl::Span<const Vec2> before, absl::Span<const Vec2> now);

}  // namespace automot::egodriver
