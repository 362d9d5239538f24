#include "tools/synthetic/synthetic_expert.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "tools/synthetic/plan_proof.h"
#include "tools/synthetic/synthetic_context.h"

namespace automot::synthetic {
namespace {

using Timer = std::chrono::steady_clock;

class SyntheticPrepared final : public planning::PreparedContext {
 public:
  explicit SyntheticPrepared(context::SnapshotPtr snapshot) : snapshot_(std::move(snapshot)) {}
  const context::KvBuffer& keys_values() const { return snapshot_->kv; }

 private:
  const context::SnapshotPtr snapshot_;
};

planning::ActionExpertInfo InfoOf(const SyntheticExpertOptions& options) {
  planning::ActionExpertInfo info;
  info.model_revision = kModelRevision;
  info.target_point_rule = "carla_route_planner";
  info.weights_trained = false;
  info.bev_channels = options.bev_channels;
  info.camera_width = options.camera_width;
  info.camera_height = options.camera_height;
  info.crop_rows = std::max(1, options.camera_height * 3 / 4);
  info.learnt_from_jpeg = options.jpeg_artefacts;
  info.usual_context_bytes = options.context_bytes;
  return info;
}

TickFacts FactsOf(const planning::PlanFeatures& features) {
  return {.capture_time_us = features.capture_time_us,
          .speed_mps = features.speed_mps,
          .current_target = features.target_points[0],
          .next_target = features.target_points[1],
          .camera = ChecksumOf(features.camera),
          .lidar = ChecksumOf(features.lidar),
          .bev_feature = ChecksumOf(features.bev_feature)};
}

Decision KeepGoing(SessionTimeUs capture_time_us) {
  Decision decision;
  decision.slot_count = kDecisionSlots;
  for (int i = 0; i < kDecisionSlots; ++i) {
    DecisionSlot& slot = decision.slots[i];
    slot.time_us = capture_time_us + i * 1'000'000;
    slot.longitudinal = LongitudinalAction::kKeep;
    slot.text.Assign("keep");
    slot.probability = 1.0F;
  }
  return decision;
}

class SyntheticExpert final : public planning::ActionExpert {
 public:
  explicit SyntheticExpert(const SyntheticExpertOptions& options)
      : options_(options), info_(InfoOf(options)) {}

  const planning::ActionExpertInfo& info() const override { return info_; }

  absl::StatusOr<std::unique_ptr<const planning::PreparedContext>> Prepare(
      context::SnapshotPtr snapshot) const override {
    if (snapshot->header.model_revision != info_.model_revision) {
      return absl::FailedPreconditionError(
          absl::StrCat("header.model_revision is '", snapshot->header.model_revision,
                       "'; this expert runs '", info_.model_revision, "'"));
    }
    AUTOMOT_RETURN_IF_ERROR(ReadFacts(snapshot->kv).status());
    return std::make_unique<SyntheticPrepared>(std::move(snapshot));
  }

  absl::Status WarmUp(int) override { return absl::OkStatus(); }

  absl::Duration WarmCost(int batch) const override {
    return options_.duration + (batch - 1) * options_.further.value_or(options_.duration);
  }

  absl::Status Plan(const planning::PlanFeatures& features,
                    const planning::PreparedContext& context,
                    planning::PlanOutput* output) override {
    const Timer::time_point start = Timer::now();
    const absl::Status status = Answer(features, context, output);
    Wait(start, WarmCost(1));
    output->action_expert_s = std::chrono::duration<double>(Timer::now() - start).count();
    return status;
  }

  void PlanBatch(absl::Span<planning::PlanItem> items) override {
    const Timer::time_point start = Timer::now();
    for (planning::PlanItem& item : items) {
      item.status = Answer(item.features, *item.context, &item.output);
    }
    Wait(start, WarmCost(static_cast<int>(items.size())));
    const double took_s = std::chrono::duration<double>(Timer::now() - start).count();
    for (planning::PlanItem& item : items) item.output.action_expert_s = took_s;
  }

 private:
  // Facts are read from the context's memory here, in the tick: memory that was given to another
  // snapshot meanwhile is thereby seen.
  static absl::Status Answer(const planning::PlanFeatures& features,
                             const planning::PreparedContext& context,
                             planning::PlanOutput* output) {
    AUTOMOT_ASSIGN_OR_RETURN(
        const ContextFacts facts,
        ReadFacts(static_cast<const SyntheticPrepared&>(context).keys_values()));
    output->trajectory = CarryProof(ProveInputs(FactsOf(features), facts), features.speed_mps);
    output->decision = KeepGoing(features.capture_time_us);
    return absl::OkStatus();
  }

  void Wait(Timer::time_point start, absl::Duration duration) const {
    if (duration <= absl::ZeroDuration()) return;
    const Timer::time_point end = start + absl::ToChronoNanoseconds(duration);
    if (!options_.spin) return std::this_thread::sleep_until(end);
    while (Timer::now() < end) {
    }
  }

  const SyntheticExpertOptions options_;
  const planning::ActionExpertInfo info_;
};

}  // namespace

std::unique_ptr<planning::ActionExpert> MakeSyntheticExpert(const SyntheticExpertOptions& options) {
  return std::make_unique<SyntheticExpert>(options);
}

}  // namespace automot::synthetic
