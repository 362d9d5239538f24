#include "services/reasoning/context_refresh.h"

#include <utility>
#include <vector>

#include "common/status/status_macros.h"

namespace automot::reasoning {
namespace {

ContextPrompt PromptOf(const context::SlowObservation& observation) {
  return {.target = observation.target, .speed_mps = observation.ego.speed_mps};
}

absl::Status Over() {
  return absl::AbortedError("the episode or epoch of the observation is over");
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

void ContextRefresh::Run(absl::Span<const RefreshJob> jobs, const Hooks& hooks) {
  std::vector<Part> parts;
  for (const RefreshJob& job : jobs) {
    absl::StatusOr<Part> part = Prepare(job, hooks);
    if (part.ok()) {
      parts.push_back(*std::move(part));
    } else {
      hooks.end(job, part.status());
    }
  }
  if (parts.empty()) return;
  const absl::Duration planned = clock_->Now();
  const absl::Status status = Prefill(parts, hooks);
  const double prefill_ms = MillisecondsSince(planned, *clock_);
  for (Part& part : parts) {
    if (!status.ok()) {
      hooks.end(*part.job, status);
      continue;
    }
    part.building->timings.prefill_ms = prefill_ms;
    part.building->timings.total_ms = MillisecondsSince(part.begin, *clock_);
    Decide(part);
    part.result.snapshot = std::move(part.building);
    hooks.end(*part.job, std::move(part.result));
  }
}

absl::StatusOr<ContextRefresh::Part> ContextRefresh::Prepare(const RefreshJob& job,
                                                             const Hooks& hooks) {
  if (!hooks.wanted(job)) return Over();
  if (job.history.frames.empty()) {
    return absl::FailedPreconditionError(
        "camera_images: the session has no camera frame to make a context from");
  }
  Part part{.job = &job, .begin = clock_->Now()};
  AUTOMOT_ASSIGN_OR_RETURN(part.features, EncodeFrames(job.history.frames, *expert_, *job.cache,
                                                       &part.result.cache_hits));
  const absl::Duration encoded = clock_->Now();
  AUTOMOT_ASSIGN_OR_RETURN(part.plan, expert_->PlanContext(PromptOf(*job.observation),
                                                           static_cast<int>(part.features.size()),
                                                           job.owner->request().layout_kind));
  part.building = std::make_shared<context::ContextSnapshot>();
  AUTOMOT_ASSIGN_OR_RETURN(part.building->kv, pool_->Acquire(part.plan.layout));
  FillHeader(job, part.plan, &part.building->header);
  part.building->timings.queue_ms = absl::ToDoubleMilliseconds(part.begin - job.accepted);
  part.building->timings.encode_ms = absl::ToDoubleMilliseconds(encoded - part.begin);
  const std::optional<SnapshotId> id = hooks.begin(job);
  if (!id) return Over();
  part.building->header.id = *id;
  return part;
}

absl::Status ContextRefresh::Prefill(absl::Span<const Part> parts, const Hooks& hooks) {
  std::vector<PrefillItem> items;
  std::vector<context::SnapshotPtr> readable;
  for (const Part& part : parts) {
    items.push_back({&part.plan, &part.features, &part.building->kv});
    readable.push_back(part.building);
  }
  return expert_->PrefillBatch(items, [&](std::size_t item, int layer) {
    hooks.on_layers(*parts[item].job, readable[item], layer + 1);
  });
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

void ContextRefresh::Decide(Part& part) {
  if (!publish_decisions_) return;
  const absl::Duration begin = clock_->Now();
  const RefreshJob& job = *part.job;
  const CameraFrame& newest = *job.history.frames.back();
  const DecisionInputs inputs = {.camera = newest.image,
                                 .camera_was_jpeg = newest.was_jpeg,
                                 .lidar = job.observation->lidar,
                                 .prompt = PromptOf(*job.observation),
                                 .capture_time_us = job.capture_time_us()};
  absl::StatusOr<Decision> decision = expert_->Decide(part.plan, part.building->kv, inputs);
  if (decision.ok()) {
    part.building->decision = *std::move(decision);
  } else {
    part.result.decision_status = decision.status();
  }
  part.building->timings.decision_ms = MillisecondsSince(begin, *clock_);
}

}  // namespace automot::reasoning
