// The predicted route as a smooth curve from the ego origin, sampled every 0.1 m (spec 5.2).
//
// Allocates nothing. Immutable after construction, so any number of threads may read it.
#pragma once

#include <array>
#include <cstdint>

#include "common/control/pchip.h"
#include "common/types/trajectory.h"

namespace automot::control {

class RouteCurve {
 public:
  static constexpr int kMaxKnots = kRoutePoints + 1;

  // route: ego frame, metres; finite, and of coordinates below kMaxCoordinateM. The distances are
  // computed in float32, as the reference does: the number of samples depends on their last bit.
  explicit RouteCurve(const std::array<Vec2, kRoutePoints>& route);

  // At least 1: a route shorter than 0.1 m has its last point as the only sample.
  int64_t sample_count() const { return sample_count_; }

  // 0 <= index < sample_count().
  Vec2 Sample(int64_t index) const;

 private:
  std::array<Vec2, kRoutePoints> route_;
  Pchip<kMaxKnots> x_, y_;
  int64_t curve_samples_ = 0;  // 0 where the route is too short
  int64_t sample_count_ = 1;
};

// Coordinates beyond it are no route: distances would leave float32's range.
inline constexpr double kMaxCoordinateM = 1e6;

// Which sample to steer at: farther ahead at higher speed, within the samples there are.
int64_t LookaheadIndex(double speed_mps, int64_t sample_count);

}  // namespace automot::control
