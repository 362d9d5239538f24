#include "common/control/route_curve.h"

#include <algorithm>
#include <cmath>

namespace automot::control {
namespace {

constexpr double kSampleSpacingM = 0.1;
constexpr double kKnotOffset = 1e-4;  // per index; keeps the knots of equal points apart

constexpr double kLookaheadPerKmh = 0.9755321901954155;
constexpr double kLookaheadOffset = 1.195;
constexpr double kMinLookahead = 24.0, kMaxLookahead = 105.0;  // samples

float ChordLength(Vec2 from, Vec2 to) {
  const float dx = static_cast<float>(to.x) - static_cast<float>(from.x);
  const float dy = static_cast<float>(to.y) - static_cast<float>(from.y);
  return std::sqrt(dx * dx + dy * dy);
}

}  // namespace

RouteCurve::RouteCurve(const std::array<Vec2, kRoutePoints>& route) : route_(route) {
  std::array<double, kMaxKnots> along{}, x{}, y{};
  std::size_t knots = 1;
  float chords = 0.0F;
  Vec2 last;
  for (int i = 0; i < kRoutePoints; ++i) {
    chords += ChordLength(last, route[i]);
    last = route[i];
    const auto distance = static_cast<float>(static_cast<double>(chords) + kKnotOffset * (i + 1));
    // Beyond a kilometre float32 no longer resolves the offset: equal points become one knot.
    if (!(distance > along[knots - 1])) continue;
    along[knots] = distance;
    x[knots] = static_cast<float>(route[i].x);
    y[knots] = static_cast<float>(route[i].y);
    ++knots;
  }
  x_.Fit({along.data(), knots}, {x.data(), knots});
  y_.Fit({along.data(), knots}, {y.data(), knots});
  const double samples = std::ceil((along[knots - 1] - kSampleSpacingM) / kSampleSpacingM);
  curve_samples_ = samples > 0.0 ? static_cast<int64_t>(samples) : 0;
  sample_count_ = std::max<int64_t>(curve_samples_, 1);
}

Vec2 RouteCurve::Sample(int64_t index) const {
  if (curve_samples_ == 0) return route_.back();
  const double along = kSampleSpacingM + static_cast<double>(index) * kSampleSpacingM;
  return {x_(along), y_(along)};
}

int64_t LookaheadIndex(double speed_mps, int64_t sample_count) {
  const double speed_kmh = speed_mps * 3.6;
  const double wanted =
      std::clamp(kLookaheadPerKmh * speed_kmh + kLookaheadOffset, kMinLookahead, kMaxLookahead);
  return static_cast<int64_t>(std::min(wanted, static_cast<double>(sample_count - 1)));
}

}  // namespace automot::control
