#include "services/egodriver/rollout.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/image/decode.h"
#include "common/logging/log.h"
#include "common/status/status_macros.h"
#include "services/egodriver/geometry/route_change.h"

namespace automot::egodriver {
namespace {

constexpr std::size_t kMaxFrameBytes = std::size_t{64} << 20;
constexpr double kMinSpeedMps = -50.0, kMaxSpeedMps = 100.0;  // as the engine's own clients

bool Earlier(const CameraFrame& a, const CameraFrame& b) {
  return a.capture_time_us < b.capture_time_us;
}

}  // namespace

std::string SessionName(const std::string& id) { return absl::StrCat("egodriver/", id); }

Rollout::Rollout(StartRequest request, const RigCamera& front, const ModelVehicle* vehicle,
                 ReprojectionCache* reprojections)
    : request_(std::move(request)),
      front_(front),
      vehicle_(vehicle),
      reprojections_(reprojections) {}

std::shared_ptr<const Reprojection> Rollout::KnownTable(int width, int height) const {
  const std::lock_guard lock(mutex_);
  const bool known = reprojection_ != nullptr && reprojection_->Fits(width, height);
  return known ? reprojection_ : nullptr;
}

// A table costs more than a picture: only pictures that decode have one made.
std::shared_ptr<const Reprojection> Rollout::TableFor(const RgbImage& picture) {
  if (auto known = KnownTable(picture.width, picture.height)) return known;
  const auto table = reprojections_->For(front_, picture.width, picture.height);
  AUTOMOT_LOG(kInfo, "egodriver_frames",
              {{"rollout", id()},
               {"camera", front_.id},
               {"width", picture.width},
               {"height", picture.height},
               {"reprojected", !table->identity()},
               {"decoded_at_one_in", table->reduction()}});
  const std::lock_guard lock(mutex_);
  return reprojection_ = table;
}

// The first picture of a size is decoded twice where its table has a reduction: what a picture
// becomes must not depend on what came before it.
absl::StatusOr<Rollout::Decoded> Rollout::DecodeFrame(std::string_view bytes) {
  const image::DecodeLimits limits{.max_bytes = kMaxFrameBytes};
  Decoded decoded;
  const bool jpeg = image::SniffFormat(bytes) == image::ImageFormat::kJpeg;
  if (!jpeg) {
    AUTOMOT_ASSIGN_OR_RETURN(decoded.picture, image::DecodeImage(bytes, limits));
    decoded.table = TableFor(decoded.picture);
    return decoded;
  }
  const auto reduction = [&](int width, int height) {
    if (decoded.table == nullptr) decoded.table = KnownTable(width, height);
    return decoded.table != nullptr ? decoded.table->reduction() : 1;
  };
  AUTOMOT_ASSIGN_OR_RETURN(decoded.picture, image::DecodeJpegReduced(bytes, limits, reduction));
  if (decoded.table != nullptr) return decoded;
  decoded.table = TableFor(decoded.picture);
  if (decoded.table->reduction() == 1) return decoded;
  AUTOMOT_ASSIGN_OR_RETURN(decoded.picture, image::DecodeJpegReduced(bytes, limits, reduction));
  return decoded;
}

absl::StatusOr<CameraFrame> Rollout::MakeFrame(SessionTimeUs time_us, std::string_view bytes) {
  AUTOMOT_ASSIGN_OR_RETURN(Decoded decoded, DecodeFrame(bytes));
  CameraFrame frame;
  frame.capture_time_us = time_us;
  frame.was_jpeg = image::SniffFormat(bytes) == image::ImageFormat::kJpeg;
  if (decoded.table->identity()) {
    frame.image = std::make_shared<const RgbImage>(std::move(decoded.picture));
  } else {
    AUTOMOT_ASSIGN_OR_RETURN(RgbImage seen, decoded.table->Apply(decoded.picture));
    frame.image = std::make_shared<const RgbImage>(std::move(seen));
  }
  return frame;
}

absl::Status Rollout::TakeFrame(std::string_view camera, SessionTimeUs time_us,
                                std::string_view bytes) {
  if (camera != front_.id) return absl::OkStatus();
  AUTOMOT_ASSIGN_OR_RETURN(CameraFrame frame, MakeFrame(time_us, bytes));
  const std::lock_guard lock(mutex_);
  ++totals_.frames;
  if (newest_driven_frame_us_ && time_us <= *newest_driven_frame_us_) return absl::OkStatus();
  const auto place = std::lower_bound(frames_.begin(), frames_.end(), frame, Earlier);
  if (place != frames_.end() && place->capture_time_us == time_us) return absl::OkStatus();
  frames_.insert(place, std::move(frame));
  if (frames_.size() > kMaxFrames) frames_.erase(frames_.begin());
  return absl::OkStatus();
}

void Rollout::TakePoses(std::vector<TimedPose> poses) {
  const std::lock_guard lock(mutex_);
  egomotion_.Add(std::move(poses));
}

void Rollout::TakeRoute(RouteReport route) {
  if (route.waypoints.size() > kMaxWaypoints) route.waypoints.resize(kMaxWaypoints);
  const std::lock_guard lock(mutex_);
  const auto newest = route_ ? std::optional(route_->time_us) : route_time_us_;
  if (newest && route.time_us < *newest) return;  // overtaken
  route_ = std::move(route);
}

// A route may come before the pose of its time: it is placed when it is driven on.
void Rollout::ResolveRoute() {
  if (!route_) return;
  const RigPose pose = egomotion_.At(route_->time_us)->pose;
  std::vector<Vec2> placed;
  placed.reserve(route_->waypoints.size());
  for (const Vec3& waypoint : route_->waypoints) {
    const Vec3 turned = Rotate(pose.rotation, waypoint);
    placed.push_back(LocalToEngine({pose.position.x + turned.x, pose.position.y + turned.y, 0.0}));
  }
  if (RouteChanged(route_in_engine_, placed)) ++replans_;
  route_in_engine_ = std::move(placed);
  route_time_us_ = route_->time_us;
  route_.reset();
}

RouteTarget Rollout::Targets(const TimedPose& now) {
  ResolveRoute();
  const Pose2 ego = EgoPose(now.pose, vehicle_->origin_ahead_m);
  if (last_place_) {
    travelled_m_ += std::hypot(ego.position.x - last_place_->x, ego.position.y - last_place_->y);
  }
  last_place_ = ego.position;
  std::vector<Vec2> route;
  route.reserve(route_in_engine_.size());
  for (const Vec2& point : route_in_engine_) route.push_back(LocalToEgo(ego, point));
  const auto selection = vehicle_->target_point_rule.Select(route, travelled_m_);
  RouteTarget target;
  target.current = selection.targets.current;
  target.next = selection.targets.next;
  target.route_revision =
      replans_ + static_cast<uint64_t>(std::max<int64_t>(0, selection.switches));
  return target;
}

absl::StatusOr<Rollout::Step> Rollout::BeginStep(SessionTimeUs now_us,
                                                 std::optional<LidarMeasurement> lidar) {
  const std::lock_guard lock(mutex_);
  std::optional<TimedPose> now = egomotion_.At(now_us);
  if (!now) {
    return absl::FailedPreconditionError(
        "drive came before any pose: submit_egomotion_observation goes first");
  }
  Step step;
  step.now = *now;
  Observation& observation = step.observation;
  observation.capture_time_us = now_us;
  observation.ego.capture_time_us = now_us;
  observation.ego.pose = EgoPose(now->pose, vehicle_->origin_ahead_m);
  observation.ego.speed_mps = std::clamp(now->motion->speed_mps, kMinSpeedMps, kMaxSpeedMps);
  observation.ego.yaw_rate_radps = -now->motion->yaw_rate_radps;
  observation.target = Targets(*now);
  observation.lidar = std::move(lidar);
  const auto future =
      std::find_if(frames_.begin(), frames_.end(),
                   [now_us](const CameraFrame& frame) { return frame.capture_time_us > now_us; });
  observation.camera_frames.assign(std::make_move_iterator(frames_.begin()),
                                   std::make_move_iterator(future));
  frames_.erase(frames_.begin(), future);
  if (!observation.camera_frames.empty()) {
    newest_driven_frame_us_ = observation.camera_frames.back().capture_time_us;
  }
  step.seen = newest_driven_frame_us_.has_value();
  ++totals_.steps;
  return step;
}

void Rollout::EndStep(absl::Duration took) {
  const std::lock_guard lock(mutex_);
  totals_.driving += took;
  totals_.longest = std::max(totals_.longest, took);
}

Rollout::Totals Rollout::totals() const {
  const std::lock_guard lock(mutex_);
  return totals_;
}

}  // namespace automot::egodriver
