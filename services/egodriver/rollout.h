// One rollout of a simulator: what it reported of its vehicle since the last step, in the engine's
// terms.
//
// Threads: every method, from any thread; reports of one rollout race with each other. Decoding and
// re-projecting a frame hold no lock. Memory is bounded: 8 frames of the checkpoint's size, 2048
// poses, 256 waypoints.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/control/target_point_rule.h"
#include "common/types/observation.h"
#include "services/egodriver/geometry/egomotion_log.h"
#include "services/egodriver/geometry/front_camera.h"

namespace automot::egodriver {

// What start_session says, checked.
struct StartRequest {
  std::string id;      // session_uuid
  std::string client;  // who asks, as rpc::ClientIdentityOf has it
  uint64_t random_seed = 0;
  std::string scene;               // may be empty
  std::vector<RigCamera> cameras;  // optical frames, whatever revision the client speaks
  bool speaks_carla = false;       // the client is the CARLA-side one: it names its revision
};

// A route in the rig frame at a time; waypoints finite, cut where the wire's NaNs begin.
struct RouteReport {
  SessionTimeUs time_us = 0;
  std::vector<Vec3> waypoints;
};

// What the checkpoint says of the vehicle that it drives. Constant.
struct ModelVehicle {
  control::TargetPointRule target_point_rule;
  double origin_ahead_m = 0.0;  // of the ego frame's origin before the rear axle
};

// Of the planning engine, for the rollout of that id.
std::string SessionName(const std::string& id);

class Rollout {
 public:
  static constexpr std::size_t kMaxFrames = 8;
  static constexpr std::size_t kMaxWaypoints = 256;

  // One drive as the engine takes it.
  struct Step {
    Observation observation;
    TimedPose now;
    bool seen = false;  // a frame has come in this rollout
  };
  // How it went so far, for its last line in the log.
  struct Totals {
    uint64_t frames = 0, steps = 0;
    absl::Duration driving, longest;
  };

  // `front` is one of the request's cameras. `vehicle` and `reprojections` must outlive the
  // rollout.
  Rollout(StartRequest request, const RigCamera& front, const ModelVehicle* vehicle,
          ReprojectionCache* reprojections);

  const std::string& id() const { return request_.id; }
  const StartRequest& request() const { return request_; }
  const RigCamera& front() const { return front_; }

  // A JPEG or PNG of `camera`; another camera's is dropped unread. INVALID_ARGUMENT: time, or a
  // picture over its limits (DecodeImage) or broken. Frames no newer than the last driven on are
  // dropped.
  absl::Status TakeFrame(std::string_view camera, SessionTimeUs time_us, std::string_view bytes);
  void TakePoses(std::vector<TimedPose> poses);
  void TakeRoute(RouteReport route);

  // Takes the frames up to `now_us` along. FAILED_PRECONDITION where no pose has come yet.
  absl::StatusOr<Step> BeginStep(SessionTimeUs now_us, std::optional<LidarMeasurement> lidar)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void EndStep(absl::Duration took);
  Totals totals() const;

  // The writer's lease on the engine's session, and its next sequence.
  void set_lease(uint64_t lease) { lease_ = lease; }
  uint64_t lease() const { return lease_; }
  uint64_t NextSequence() { return sequence_.fetch_add(1, std::memory_order_relaxed) + 1; }

  // Wall monotonic time of the last request.
  void Touch(absl::Duration now) { last_request_ns_.store(absl::ToInt64Nanoseconds(now)); }
  absl::Duration last_request() const { return absl::Nanoseconds(last_request_ns_.load()); }
  std::atomic<int> drives_in_flight{0};

 private:
  struct Decoded {
    RgbImage picture;
    std::shared_ptr<const Reprojection> table;  // that takes it
  };
  std::shared_ptr<const Reprojection> KnownTable(int width, int height) const
      ABSL_LOCKS_EXCLUDED(mutex_);
  std::shared_ptr<const Reprojection> TableFor(const RgbImage& picture) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<Decoded> DecodeFrame(std::string_view bytes);
  absl::StatusOr<CameraFrame> MakeFrame(SessionTimeUs time_us, std::string_view bytes);
  RouteTarget Targets(const TimedPose& now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ResolveRoute() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const StartRequest request_;
  const RigCamera front_;
  const ModelVehicle* const vehicle_;
  ReprojectionCache* const reprojections_;
  uint64_t lease_ = 0;  // set before others see the rollout
  std::atomic<uint64_t> sequence_{0};
  std::atomic<int64_t> last_request_ns_{0};

  mutable std::mutex mutex_;
  std::shared_ptr<const Reprojection> reprojection_ ABSL_GUARDED_BY(mutex_);  // of the last size
  std::vector<CameraFrame> frames_ ABSL_GUARDED_BY(mutex_);  // not driven on yet, oldest first
  std::optional<SessionTimeUs> newest_driven_frame_us_ ABSL_GUARDED_BY(mutex_);
  EgomotionLog egomotion_ ABSL_GUARDED_BY(mutex_);
  std::optional<RouteReport> route_ ABSL_GUARDED_BY(mutex_);   // newest, not resolved yet
  std::vector<Vec2> route_in_engine_ ABSL_GUARDED_BY(mutex_);  // resolved: the engine's local frame
  std::optional<SessionTimeUs> route_time_us_ ABSL_GUARDED_BY(mutex_);
  uint64_t replans_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<Vec2> last_place_ ABSL_GUARDED_BY(mutex_);
  double travelled_m_ ABSL_GUARDED_BY(mutex_) = 0.0;
  Totals totals_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace automot::egodriver
