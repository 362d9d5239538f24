// The egodriver service without its wire: rollouts, their admission, their steps on the planning
// engine, their end.
//
// - A rollout is a STEPPED session of the planning engine, named "egodriver/<session_uuid>".
// - start_session is held until there is room: for `admission_limit` at most, in order of arrival.
// - A drive is planned in the order of an implied deadline, and is neither refused, expired nor
//   superseded for load: it is asked for again until `drive_limit` has passed.
// - Rollouts that nobody asks about for the engine's session lease end.
//
// Threads: every method from any thread. Callbacks run once, on the caller's thread, a responder
// thread, or the maintenance thread; they must not call back into the engine.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/time/clock.h"
#include "services/egodriver/egodriver_metrics.h"
#include "services/egodriver/rollout.h"
#include "services/planning/planning_engine.h"

namespace automot::egodriver {

struct EgodriverOptions {
  uint32_t rollout_limit = 64;
  uint32_t waiting_limit = 256;  // held starts
  absl::Duration admission_limit = absl::Seconds(120);
  absl::Duration drive_limit = absl::Seconds(60);
  double reasoning_rate_hz = 2.0;  // refreshes a second of simulated time
};

using CancelFlag = std::shared_ptr<std::atomic<bool>>;

// Outcome of a drive. `work` is set where `status` is OK, and valid during the call.
struct DriveAnswer {
  absl::Status status;
  std::vector<TimedPose> plan;  // the rig in the local frame
  const planning::PlanWork* work = nullptr;
};

class EgodriverEngine {
 public:
  // All must outlive it. INVALID_ARGUMENT where the checkpoint's target_point_rule is not known
  // here.
  static absl::StatusOr<std::unique_ptr<EgodriverEngine>> Create(const EgodriverOptions& options,
                                                                 planning::PlanningEngine* engine,
                                                                 const Clock* clock,
                                                                 EgodriverMetrics* metrics);
  ~EgodriverEngine();

  // `done` gets OK once the rollout runs. INVALID_ARGUMENT: id or cameras; ALREADY_EXISTS;
  // RESOURCE_EXHAUSTED: no room in time, too many wait, or the client's quota of sessions is used
  // up (told at once: it must not hold up the others); UNAVAILABLE while draining; CANCELLED.
  void Start(StartRequest request, CancelFlag cancelled, std::function<void(absl::Status)> done);
  // The rollout, its lease renewed. NOT_FOUND.
  absl::StatusOr<std::shared_ptr<Rollout>> Find(const std::string& id);
  // Frees everything; a held start of that id ends. Unknown ids are harmless.
  void Close(const std::string& id);

  void Drive(const std::shared_ptr<Rollout>& rollout, SessionTimeUs now_us,
             std::optional<LidarMeasurement> lidar, CancelFlag cancelled,
             std::function<void(const DriveAnswer&)> done);
  void NoticeCancellation() { engine_->NoticeCancellation(); }

  // Starts nothing new, ends held starts, and waits until the running rollouts have ended; what
  // then still runs is closed.
  void Drain(absl::Duration deadline);
  bool draining() const { return draining_.load(std::memory_order_acquire); }

  const planning::PlanningEngine& engine() const { return *engine_; }
  double origin_ahead_m() const { return vehicle_.origin_ahead_m; }
  uint32_t running() const;

 private:
  struct Held {
    StartRequest request;
    CancelFlag cancelled;
    absl::Duration until;
    std::function<void(absl::Status)> done;
  };
  struct PendingDrive {
    std::shared_ptr<Rollout> rollout;
    planning::PlanCall call;  // without its frames: the engine has them
    TimedPose now;
    absl::Duration arrived;
    std::function<void(const DriveAnswer&)> done;
  };

  EgodriverEngine(const EgodriverOptions& options, const ModelVehicle& vehicle,
                  const ModelCamera& camera, planning::PlanningEngine* engine, const Clock* clock,
                  EgodriverMetrics* metrics);

  absl::StatusOr<std::shared_ptr<Rollout>> MakeRollout(const StartRequest& request);
  absl::Status Reserve(const StartRequest& request, bool* full)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // `*full` where the planning engine has no room, whoever asks.
  absl::Status Open(const StartRequest& request, bool* full);
  void Submit(std::shared_ptr<PendingDrive> drive, planning::PlanCall call);
  void Complete(const PendingDrive& drive, const planning::PlanAnswer& answer);
  void End(const std::shared_ptr<Rollout>& rollout, RolloutEnd how);
  void ReportCounts() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Maintenance thread.
  void MaintenanceThread();
  void AdmitHeld();
  void EndHeld(const std::function<std::optional<absl::Status>(const Held&)>& judge);
  void ExpireIdle();
  void Retry(bool last);

  const EgodriverOptions options_;
  const ModelVehicle vehicle_;
  ReprojectionCache reprojections_;
  planning::PlanningEngine* const engine_;
  const Clock* const clock_;
  EgodriverMetrics* const metrics_;
  std::atomic<bool> draining_{false};

  mutable std::mutex mutex_;
  std::condition_variable changed_;  // a rollout ended, or the maintenance thread must stop
  // Null: being opened.
  absl::flat_hash_map<std::string, std::shared_ptr<Rollout>> rollouts_ ABSL_GUARDED_BY(mutex_);
  std::deque<Held> held_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<PendingDrive>> refused_ ABSL_GUARDED_BY(mutex_);
  int drives_ ABSL_GUARDED_BY(mutex_) = 0;  // not answered yet
  bool no_more_retries_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread maintenance_;
};

}  // namespace automot::egodriver
