#include "services/egodriver/egodriver_engine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/logging/log.h"
#include "common/status/status_macros.h"
#include "services/egodriver/geometry/plan_poses.h"

namespace automot::egodriver {
namespace {

constexpr double kPlanningRateHz = 10.0;

planning::SessionOptions OptionsFor(const EgodriverOptions& options) {
  planning::SessionOptions session;
  session.planning_rate_hz = kPlanningRateHz;
  session.reasoning_rate_hz = options.reasoning_rate_hz;
  session.time_mode = planning::TimeMode::kStepped;
  session.on_missing_modality = planning::OnMissingModality::kFlag;
  session.on_no_context = planning::OnNoContext::kPark;
  return session;
}

absl::Status Draining() { return absl::UnavailableError("the egodriver service is draining"); }

const char* ToText(RolloutEnd how) {
  switch (how) {
    case RolloutEnd::kClosed:
      return "closed";
    case RolloutEnd::kExpired:
      return "expired";
    case RolloutEnd::kDrained:
      return "drained";
  }
  return "unknown";
}

void LogStart(const Rollout& rollout, const ModelCamera& camera) {
  AUTOMOT_LOG(kInfo, "egodriver_rollout_started",
              {{"rollout", rollout.id()},
               {"scene", rollout.request().scene},
               {"seed", rollout.request().random_seed},
               {"cameras", rollout.request().cameras.size()},
               {"front_camera", rollout.front().id},
               {"coverage", Coverage(rollout.front(), camera)},
               {"client", rollout.request().speaks_carla ? "carla" : "alpasim"}});
}

void LogEnd(const Rollout& rollout, RolloutEnd how) {
  const Rollout::Totals totals = rollout.totals();
  const double steps = static_cast<double>(std::max<uint64_t>(totals.steps, 1));
  AUTOMOT_LOG(kInfo, "egodriver_rollout_ended",
              {{"rollout", rollout.id()},
               {"how", ToText(how)},
               {"drives", totals.steps},
               {"frames", totals.frames},
               {"drive_mean_ms", absl::ToDoubleMilliseconds(totals.driving) / steps},
               {"drive_max_ms", absl::ToDoubleMilliseconds(totals.longest)}});
}

}  // namespace

absl::StatusOr<std::unique_ptr<EgodriverEngine>> EgodriverEngine::Create(
    const EgodriverOptions& options, planning::PlanningEngine* engine, const Clock* clock,
    EgodriverMetrics* metrics) {
  const planning::ActionExpertInfo& model = engine->model();
  AUTOMOT_ASSIGN_OR_RETURN(const control::TargetPointRule rule,
                           control::TargetPointRule::Parse(model.target_point_rule));
  AUTOMOT_RETURN_IF_ERROR(planning::ValidateSessionOptions(OptionsFor(options)));
  const ModelCamera camera{model.camera_width, model.camera_height, model.camera_fov_deg};
  std::unique_ptr<EgodriverEngine> made(new EgodriverEngine(
      options, {rule, model.rear_axle_behind_origin_m}, camera, engine, clock, metrics));
  made->maintenance_ = std::thread([raw = made.get()] { raw->MaintenanceThread(); });
  return made;
}

EgodriverEngine::EgodriverEngine(const EgodriverOptions& options, const ModelVehicle& vehicle,
                                 const ModelCamera& camera, planning::PlanningEngine* engine,
                                 const Clock* clock, EgodriverMetrics* metrics)
    : options_(options),
      vehicle_(vehicle),
      reprojections_(camera),
      engine_(engine),
      clock_(clock),
      metrics_(metrics) {}

EgodriverEngine::~EgodriverEngine() {
  Drain(absl::ZeroDuration());
  {
    // What the planning engine still answers comes back here.
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return drives_ == 0; });
    stopping_ = true;
    changed_.notify_all();
  }
  if (maintenance_.joinable()) maintenance_.join();
}

// ----------------------------------------------------------------------------------------------------
// Rollouts

absl::StatusOr<std::shared_ptr<Rollout>> EgodriverEngine::MakeRollout(const StartRequest& request) {
  if (absl::Status name = planning::ValidateSessionName(SessionName(request.id));
      !name.ok() || request.id.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "session_uuid has ", request.id.size(), " bytes; expected 1 to ",
        planning::kMaxSessionNameBytes - SessionName("").size(), " printable ASCII characters"));
  }
  for (const RigCamera& camera : request.cameras) {
    AUTOMOT_RETURN_IF_ERROR(CheckLens(camera.id, camera.lens));
  }
  AUTOMOT_ASSIGN_OR_RETURN(const std::size_t front,
                           ChooseFrontCamera(request.cameras, reprojections_.model()));
  return std::make_shared<Rollout>(request, request.cameras[front], &vehicle_, &reprojections_);
}

// Takes a place for the rollout, which is then being opened.
absl::Status EgodriverEngine::Reserve(const StartRequest& request, bool* full) {
  *full = false;
  if (rollouts_.contains(request.id)) {
    return absl::AlreadyExistsError(
        absl::StrCat("session_uuid '", request.id, "' runs already; close it first"));
  }
  if (rollouts_.size() >= options_.rollout_limit) {
    *full = true;
    return absl::ResourceExhaustedError(
        absl::StrCat(rollouts_.size(), " rollouts run; the limit is ", options_.rollout_limit));
  }
  rollouts_.emplace(request.id, nullptr);
  ReportCounts();
  return absl::OkStatus();
}

// Of a reserved rollout. Without success its place is free again.
absl::Status EgodriverEngine::Open(const StartRequest& request, bool* full) {
  *full = false;
  absl::StatusOr<std::shared_ptr<Rollout>> rollout = MakeRollout(request);
  absl::Status status = rollout.status();
  const std::string name = SessionName(request.id);
  uint64_t lease = 0;
  if (status.ok()) {
    const auto session = engine_->OpenSession(name, "", OptionsFor(options_), request.client);
    status = session.status();
    if (status.ok()) lease = session->lease;
    *full = absl::IsResourceExhausted(status) && engine_->CheckClient(request.client).ok();
    (*rollout)->set_lease(lease);
    (*rollout)->Touch(clock_->Now());
  }
  {
    const std::lock_guard lock(mutex_);
    const auto place = rollouts_.find(request.id);
    const bool wanted = place != rollouts_.end() && place->second == nullptr && !draining();
    if (status.ok() && wanted) {
      place->second = *rollout;
      LogStart(**rollout, reprojections_.model());
      return absl::OkStatus();
    }
    if (place != rollouts_.end() && place->second == nullptr) rollouts_.erase(place);
    ReportCounts();
  }
  changed_.notify_all();
  if (!status.ok()) return status;
  engine_->CloseSession(name, lease).IgnoreError();
  return draining() ? Draining()
                    : absl::CancelledError(absl::StrCat("session_uuid '", request.id,
                                                        "' was closed while it was started"));
}

void EgodriverEngine::Start(StartRequest request, CancelFlag cancelled,
                            std::function<void(absl::Status)> done) {
  // What can never start is told at once, whatever the load.
  if (const auto rollout = MakeRollout(request); !rollout.ok()) return done(rollout.status());
  absl::Status status;
  bool full = false;
  {
    const std::lock_guard lock(mutex_);
    status = draining() ? Draining() : Reserve(request, &full);
    // Those who wait come first.
    if (status.ok() && !held_.empty()) {
      rollouts_.erase(request.id);
      full = true;
    }
    if (full) {
      if (held_.size() < options_.waiting_limit) {
        const absl::Duration until = clock_->Now() + options_.admission_limit;
        held_.push_back({std::move(request), std::move(cancelled), until, std::move(done)});
        return ReportCounts();
      }
      status = absl::ResourceExhaustedError(absl::StrCat(
          held_.size(), " rollouts wait to start; the limit is ", options_.waiting_limit));
    }
  }
  bool engine_full = false;
  if (status.ok()) status = Open(request, &engine_full);
  if (!engine_full) return done(status);
  // The planning engine has no room: it waits as for a place of ours.
  {
    const std::lock_guard lock(mutex_);
    if (!draining()) {
      held_.push_back({std::move(request), std::move(cancelled),
                       clock_->Now() + options_.admission_limit, std::move(done)});
      return ReportCounts();
    }
  }
  done(Draining());
}

absl::StatusOr<std::shared_ptr<Rollout>> EgodriverEngine::Find(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto place = rollouts_.find(id);
  if (place == rollouts_.end() || place->second == nullptr) {
    return absl::NotFoundError(absl::StrCat("session_uuid '", id.substr(0, 128), "' is not open"));
  }
  place->second->Touch(clock_->Now());
  return place->second;
}

void EgodriverEngine::Close(const std::string& id) {
  std::shared_ptr<Rollout> rollout;
  {
    const std::lock_guard lock(mutex_);
    if (const auto place = rollouts_.find(id); place != rollouts_.end()) {
      rollout = place->second;
      rollouts_.erase(place);  // one that is being opened finds its place gone
    }
    ReportCounts();
  }
  EndHeld([&](const Held& held) -> std::optional<absl::Status> {
    if (held.request.id != id) return std::nullopt;
    return absl::CancelledError(absl::StrCat("session_uuid '", id, "' was closed"));
  });
  if (rollout != nullptr) End(rollout, RolloutEnd::kClosed);
}

// Of a rollout that is out of the table.
void EgodriverEngine::End(const std::shared_ptr<Rollout>& rollout, RolloutEnd how) {
  engine_->CloseSession(SessionName(rollout->id()), rollout->lease()).IgnoreError();
  metrics_->CountRolloutEnd(how);
  LogEnd(*rollout, how);
  changed_.notify_all();
}

void EgodriverEngine::ReportCounts() {
  metrics_->SetRollouts(static_cast<uint32_t>(rollouts_.size()),
                        static_cast<uint32_t>(held_.size()));
}

uint32_t EgodriverEngine::running() const {
  const std::lock_guard lock(mutex_);
  return static_cast<uint32_t>(rollouts_.size());
}

void EgodriverEngine::Drain(absl::Duration deadline) {
  draining_.store(true, std::memory_order_release);
  EndHeld([](const Held&) { return std::optional(Draining()); });
  std::vector<std::shared_ptr<Rollout>> left;
  {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, absl::ToChronoMicroseconds(std::min(deadline, absl::Hours(24))),
                      [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return rollouts_.empty(); });
    for (const auto& [id, rollout] : rollouts_) {
      if (rollout != nullptr) left.push_back(rollout);
    }
    rollouts_.clear();
    no_more_retries_ = true;
    ReportCounts();
  }
  for (const std::shared_ptr<Rollout>& rollout : left) End(rollout, RolloutEnd::kDrained);
  Retry(/*last=*/true);
}

// ----------------------------------------------------------------------------------------------------
// Drives

void EgodriverEngine::Drive(const std::shared_ptr<Rollout>& rollout, SessionTimeUs now_us,
                            std::optional<LidarMeasurement> lidar, CancelFlag cancelled,
                            std::function<void(const DriveAnswer&)> done) {
  const absl::Duration arrived = clock_->Now();
  absl::StatusOr<Rollout::Step> step = rollout->BeginStep(now_us, std::move(lidar));
  if (!step.ok()) return done({step.status()});
  planning::PlanCall call;
  call.session = SessionName(rollout->id());
  call.lease = rollout->lease();
  call.sequence = rollout->NextSequence();
  call.observation = std::move(step->observation);
  call.arrived = arrived;
  call.order_by = arrived + absl::Seconds(1.0 / kPlanningRateHz);
  call.deadline = arrived + options_.drive_limit;
  call.cancelled = std::move(cancelled);
  // Without a picture no context can come.
  if (!step->seen) call.park_at_most = absl::ZeroDuration();
  auto drive = std::make_shared<PendingDrive>();
  drive->rollout = rollout;
  drive->now = step->now;
  drive->arrived = arrived;
  drive->done = std::move(done);
  drive->call = call;
  drive->call.observation.camera_frames.clear();
  rollout->drives_in_flight.fetch_add(1);
  {
    const std::lock_guard lock(mutex_);
    ++drives_;
  }
  Submit(std::move(drive), std::move(call));
}

void EgodriverEngine::Submit(std::shared_ptr<PendingDrive> drive, planning::PlanCall call) {
  engine_->Plan(std::move(call), [this, drive](const planning::PlanAnswer& answer) {
    if (absl::IsResourceExhausted(answer.status)) {
      metrics_->CountDriveRetry();
      const std::lock_guard lock(mutex_);
      if (!no_more_retries_) return refused_.push_back(drive);
    }
    Complete(*drive, answer);
  });
}

void EgodriverEngine::Complete(const PendingDrive& drive, const planning::PlanAnswer& answer) {
  DriveAnswer result{answer.status};
  if (answer.status.ok()) {
    auto plan = PlanPoses(answer.work->result.trajectory, drive.now, vehicle_.origin_ahead_m);
    result.status = plan.status();
    if (plan.ok()) result = {absl::OkStatus(), *std::move(plan), answer.work};
  }
  const absl::Duration now = clock_->Now();
  drive.rollout->EndStep(now - drive.arrived);
  drive.rollout->Touch(now);
  drive.rollout->drives_in_flight.fetch_sub(1);
  drive.done(result);
  const std::lock_guard lock(mutex_);
  --drives_;
  changed_.notify_all();
}

// Asks again for what the planning engine had no room for; `last`: answers it instead.
void EgodriverEngine::Retry(bool last) {
  std::vector<std::shared_ptr<PendingDrive>> drives;
  {
    const std::lock_guard lock(mutex_);
    drives.swap(refused_);
  }
  for (const std::shared_ptr<PendingDrive>& drive : drives) {
    const planning::PlanCall& call = drive->call;
    if (call.cancelled != nullptr && call.cancelled->load(std::memory_order_acquire)) {
      Complete(*drive, {absl::CancelledError("the client cancelled")});
    } else if (last) {
      Complete(*drive, {Draining()});
    } else if (clock_->Now() >= call.deadline) {
      Complete(*drive, {absl::DeadlineExceededError(absl::StrCat(
                           "no room to plan for ", absl::FormatDuration(options_.drive_limit)))});
    } else {
      planning::PlanCall again = call;
      again.sequence = drive->rollout->NextSequence();
      Submit(drive, std::move(again));
    }
  }
}

}  // namespace automot::egodriver
