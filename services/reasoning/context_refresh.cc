#include "services/reasoning/context_refresh.h"

#include <utility>

#include "common/status/status_macros.h"

namespace automot::reasoning {
namespace {

ContextPrompt PromptOf(const context::SlowObservation& observation) {
  return {.target = observation.target, .speed_mps = observation.ego.speed_mps};
}

double MillisecondsSince(absl::Duration begin, const Clock& clock) {
  return absl::ToDoubleMilliseconds(clock.Now() - begin);
}

}  // namespace

absl::StatusOr<VisionFeatures> EncodeFrames(const std::vector<CameraFramePtr>& frames,
                                            UnderstandingExpert& expert, VisionCache& cache,
                                            uint64_t* cache_hits) {
  VisionFeatures features;
  for (const CameraFramePtr& frame : frames) {
    std::shared_ptr<const VisionFeature> feature = cache.Find(frame->capture_time_us);
    if (feature != nullptr) {
      ++*cache_hits;
    } else {
      AUTOMOT_ASSIGN_OR_RETURN(feature, expert.EncodeFrame(*frame->image));
      cache.Insert(frame->capture_time_us, feature);
    }
    features.push_back(std::move(feature));
  }
  return features;
}

absl::StatusOr<ContextRefresh::Result> ContextRefresh::Run(const RefreshJob& job,
                                                           const Hooks& hooks) {
  if (job.history.frames.empty()) {
    return absl::FailedPreconditionError(
        "camera_images: the session has no camera frame to make a context from");
  }
  Result result;
  const absl::Duration begin = clock_->Now();
  AUTOMOT_ASSIGN_OR_RETURN(VisionFeatures features, EncodeFrames(job.history.frames, *expert_,
                                                                 *job.cache, &result.cache_hits));
  const absl::Duration encoded = clock_->Now();
  AUTOMOT_ASSIGN_OR_RETURN(
      const ContextPlan plan,
      expert_->PlanContext(PromptOf(*job.observation), static_cast<int>(features.size()),
                           job.owner->request().layout_kind));
  auto building = std::make_shared<context::ContextSnapshot>();
  AUTOMOT_ASSIGN_OR_RETURN(building->kv, pool_->Acquire(plan.layout));
  FillHeader(job, plan, &building->header);
  const std::optional<SnapshotId> id = hooks.begin();
  if (!id) return absl::AbortedError("the episode or epoch of the observation is over");
  building->header.id = *id;

  const absl::Duration planned = clock_->Now();
  const context::SnapshotPtr readable = building;
  AUTOMOT_RETURN_IF_ERROR(expert_->Prefill(
      plan, features, building->kv, [&](int layer) { hooks.on_layers(readable, layer + 1); }));
  building->timings.queue_ms = absl::ToDoubleMilliseconds(begin - job.accepted);
  building->timings.encode_ms = absl::ToDoubleMilliseconds(encoded - begin);
  building->timings.prefill_ms = MillisecondsSince(planned, *clock_);
  building->timings.total_ms = MillisecondsSince(begin, *clock_);
  Decide(job, plan, building.get(), &result);
  result.snapshot = readable;
  return result;
}

void ContextRefresh::FillHeader(const RefreshJob& job, const ContextPlan& plan,
                                context::SnapshotHeader* header) const {
  const UnderstandingExpertInfo& info = expert_->info();
  const context::SlowObservation& observation = *job.observation;
  header->capture_time_us = job.capture_time_us();
  for (const CameraFramePtr& frame : job.history.frames) {
    header->frame_capture_times_us.push_back(frame->capture_time_us);
  }
  header->history_spacing_error_us = job.history.error_us;
  header->prompt = {.target_points = {observation.target.current, observation.target.next},
                    .speed_mps = observation.ego.speed_mps,
                    .pose = observation.ego.pose,
                    .route_revision = observation.target.route_revision};
  header->position_start = plan.position_start;
  header->layout = plan.layout;
  header->model_revision = info.model_revision;
  header->prompt_template = info.prompt_template;
  header->instruction_mask = info.bidirectional_instruction ? "bidirectional" : "causal";
  header->history_spacing_s = static_cast<double>(info.history_spacing_us) / 1e6;
  if (job.history.short_history) header->reasons.Add(Reason::kShortHistory);
  if (observation.lidar == nullptr) header->reasons.Add(Reason::kNoLidar);
  if (observation.reasons.Has(Reason::kHalfSweep)) header->reasons.Add(Reason::kHalfSweep);
}

void ContextRefresh::Decide(const RefreshJob& job, const ContextPlan& plan,
                            context::ContextSnapshot* snapshot, Result* result) {
  if (!publish_decisions_) return;
  const absl::Duration begin = clock_->Now();
  const CameraFrame& newest = *job.history.frames.back();
  const DecisionInputs inputs = {.camera = newest.image,
                                 .camera_was_jpeg = newest.was_jpeg,
                                 .lidar = job.observation->lidar,
                                 .prompt = PromptOf(*job.observation),
                                 .capture_time_us = job.capture_time_us()};
  absl::StatusOr<Decision> decision = expert_->Decide(plan, snapshot->kv, inputs);
  if (decision.ok()) {
    snapshot->decision = *std::move(decision);
  } else {
    result->decision_status = decision.status();
  }
  snapshot->timings.decision_ms = MillisecondsSince(begin, *clock_);
}

}  // namespace automot::reasoning
