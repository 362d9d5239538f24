#include "services/egodriver/handlers/observation_conversion.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "common/types/session_time.h"
#include "egodriver/carla_driver.pb.h"

namespace automot::egodriver {
namespace {

namespace wire = ::egodriver;
static_assert(std::endian::native == std::endian::little, "points are little-endian");

constexpr double kMaxCoordinate = 1e8;  // as the engine's own clients
constexpr double kMaxRouteM = 1e5;      // of a waypoint, rig frame
constexpr double kMaxRate = 1e4;        // m/s or rad/s
constexpr int kMaxPosesPerCall = 1 << 16;
constexpr std::size_t kPointValues = 4;  // x, y, z, intensity
constexpr std::size_t kMaxPoints = 2'000'000;

template <typename... Parts>
absl::Status Invalid(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

absl::Status CheckVector(const std::string& field, const ::common::Vec3& v, double limit) {
  const auto fits = [limit](double value) { return std::abs(value) <= limit; };  // not NaN
  if (fits(v.x()) && fits(v.y()) && fits(v.z())) return absl::OkStatus();
  return Invalid(field, " is (", v.x(), ", ", v.y(), ", ", v.z(), "); it must be finite, at most ",
                 limit, " either way");
}

absl::StatusOr<std::optional<Motion>> MotionFromProto(const std::string& field,
                                                      const ::common::DynamicState& proto) {
  if (!proto.has_linear_velocity()) return std::optional<Motion>();
  AUTOMOT_RETURN_IF_ERROR(
      CheckVector(absl::StrCat(field, ".linear_velocity"), proto.linear_velocity(), kMaxRate));
  AUTOMOT_RETURN_IF_ERROR(
      CheckVector(absl::StrCat(field, ".angular_velocity"), proto.angular_velocity(), kMaxRate));
  return std::optional(Motion{proto.linear_velocity().x(), proto.angular_velocity().z()});
}

// Appends the points of one sweep.
void AddSweep(const ::carla_driver::v0::LidarSweep& sweep, double origin_ahead_m,
              std::vector<float>* xyz) {
  const std::string& bytes = sweep.points_xyzi();
  const std::size_t count = bytes.size() / (kPointValues * sizeof(float));
  if (bytes.size() != std::size_t{sweep.num_points()} * kPointValues * sizeof(float)) return;
  const std::size_t room = kMaxPoints - xyz->size() / 3;
  xyz->reserve(xyz->size() + 3 * std::min(count, room));
  for (std::size_t i = 0; i < count && xyz->size() < 3 * kMaxPoints; ++i) {
    float point[kPointValues];
    std::memcpy(point, bytes.data() + i * sizeof(point), sizeof(point));
    const bool finite =
        std::isfinite(point[0]) && std::isfinite(point[1]) && std::isfinite(point[2]);
    if (!finite) continue;
    const Vec2 in_ego = RigToEgo({point[0], point[1], point[2]}, origin_ahead_m);
    xyz->insert(xyz->end(), {static_cast<float>(in_ego.x), static_cast<float>(in_ego.y), point[2]});
  }
}

}  // namespace

absl::StatusOr<SessionTimeUs> TimeFromProto(const char* field, uint64_t time_us) {
  if (time_us <= static_cast<uint64_t>(kMaxSessionTimeUs))
    return static_cast<SessionTimeUs>(time_us);
  return Invalid(field, " is ", time_us, "; the limits are 0 and ", kMaxSessionTimeUs, " us");
}

absl::StatusOr<RigPose> PoseFromProto(const std::string& field, const ::common::Pose& proto) {
  AUTOMOT_RETURN_IF_ERROR(CheckVector(absl::StrCat(field, ".vec"), proto.vec(), kMaxCoordinate));
  RigPose pose;
  pose.position = {proto.vec().x(), proto.vec().y(), proto.vec().z()};
  pose.rotation = {proto.quat().w(), proto.quat().x(), proto.quat().y(), proto.quat().z()};
  AUTOMOT_RETURN_IF_ERROR(Normalise(absl::StrCat(field, ".quat").c_str(), &pose.rotation));
  return pose;
}

absl::StatusOr<std::vector<TimedPose>> PosesFromProto(const wire::RolloutEgoTrajectory& proto) {
  const auto& poses = proto.trajectory().poses();
  const auto& states = proto.dynamic_states();
  if (poses.size() > kMaxPosesPerCall) {
    return Invalid("trajectory.poses has ", poses.size(), " entries; the limit is ",
                   kMaxPosesPerCall);
  }
  if (!states.empty() && states.size() != poses.size()) {
    return Invalid("dynamic_states has ", states.size(), " entries; expected none or ",
                   poses.size(), ", one for each pose");
  }
  std::vector<TimedPose> result;
  result.reserve(poses.size());
  for (int i = 0; i < poses.size(); ++i) {
    TimedPose pose;
    AUTOMOT_ASSIGN_OR_RETURN(
        pose.time_us, TimeFromProto("trajectory.poses.timestamp_us", poses[i].timestamp_us()));
    AUTOMOT_ASSIGN_OR_RETURN(
        pose.pose, PoseFromProto(absl::StrCat("trajectory.poses[", i, "].pose"), poses[i].pose()));
    if (!states.empty()) {
      AUTOMOT_ASSIGN_OR_RETURN(pose.motion,
                               MotionFromProto(absl::StrCat("dynamic_states[", i, "]"), states[i]));
    }
    result.push_back(pose);
  }
  return result;
}

absl::StatusOr<RouteReport> RouteFromProto(const wire::Route& proto) {
  RouteReport route;
  AUTOMOT_ASSIGN_OR_RETURN(route.time_us,
                           TimeFromProto("route.timestamp_us", proto.timestamp_us()));
  for (const ::common::Vec3& waypoint : proto.waypoints()) {
    const bool ends = !std::isfinite(waypoint.x()) || !std::isfinite(waypoint.y());
    if (ends || route.waypoints.size() >= Rollout::kMaxWaypoints) break;
    if (std::abs(waypoint.x()) > kMaxRouteM || std::abs(waypoint.y()) > kMaxRouteM) {
      return Invalid("route.waypoints[", route.waypoints.size(), "] is (", waypoint.x(), ", ",
                     waypoint.y(), "); the limit is ", kMaxRouteM, " m either way");
    }
    const double z = std::isfinite(waypoint.z()) ? waypoint.z() : 0.0;
    route.waypoints.push_back({waypoint.x(), waypoint.y(), std::clamp(z, -kMaxRouteM, kMaxRouteM)});
  }
  return route;
}

std::optional<LidarMeasurement> LidarFromRendererData(const std::string& renderer_data,
                                                      double origin_ahead_m, SessionTimeUs now_us) {
  ::carla_driver::v0::CarlaRendererData data;
  if (renderer_data.empty() || !data.ParseFromString(renderer_data) || data.lidar().empty()) {
    return std::nullopt;
  }
  auto points = std::make_shared<LidarPoints>();
  points->capture_time_us = now_us;
  for (const auto& sweep : data.lidar()) {
    AddSweep(sweep, origin_ahead_m, &points->xyz);
    if (sweep.timestamp_us() <= static_cast<uint64_t>(now_us)) {
      points->capture_time_us = static_cast<SessionTimeUs>(sweep.timestamp_us());
    }
  }
  if (points->xyz.empty()) return std::nullopt;
  LidarMeasurement lidar;
  lidar.points = std::move(points);
  return lidar;
}

}  // namespace automot::egodriver
