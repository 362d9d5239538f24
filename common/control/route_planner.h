// From a sparse global plan to the model's two target points (spec 5.3), and from GNSS to metres.
//
// Not thread-safe. Step allocates nothing.
#pragma once

#include <cstddef>
#include <vector>

#include "absl/status/statusor.h"
#include "common/control/agent_rules.h"
#include "common/types/geometry.h"

namespace automot::control {

// As CARLA numbers its road options.
enum class RoadOption : int {
  kVoid = -1,
  kLeft = 1,
  kRight = 2,
  kStraight = 3,
  kLaneFollow = 4,
  kChangeLaneLeft = 5,
  kChangeLaneRight = 6,
};

// One point of the global plan.
struct PlanPoint {
  Vec2 position;  // local frame, metres
  RoadOption option = RoadOption::kLaneFollow;
};

class RoutePlanner {
 public:
  // The plan, downsampled to about 50 m between points as the evaluator hands it out.
  // INVALID_ARGUMENT, naming the point, where a coordinate is not finite.
  static absl::StatusOr<RoutePlanner> Create(std::vector<PlanPoint> plan);

  // Drops the points that the ego has come to and returns where to drive, in the ego frame. Of the
  // points in reach the farthest becomes the first of the route, the following two are the targets.
  // With two points left the second target is 5 m past the first; with fewer the first target is
  // 50 m straight ahead.
  TargetPoints Step(const Pose2& ego);

  // Drops up to `count` points from the front as long as more than `keep` are left.
  void Pop(std::size_t count, std::size_t keep);

  std::size_t remaining() const { return plan_.size() - first_; }

 private:
  explicit RoutePlanner(std::vector<PlanPoint> plan) : plan_(std::move(plan)) {}

  double ReachM(std::size_t index) const;
  void DropPassed(Vec2 ego);

  std::vector<PlanPoint> plan_;
  std::size_t first_ = 0;  // points before it are dropped
};

// Geographic position.
struct GeoPoint {
  double latitude_deg = 0.0;
  double longitude_deg = 0.0;
};

// Metres east (x) and south (y) of the map's reference by the
// Mercator formula on a sphere of 6378137 m.
Vec2 GnssToLocal(const GeoPoint& point, const GeoPoint& reference);

}  // namespace automot::control
