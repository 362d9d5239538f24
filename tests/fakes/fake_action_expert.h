// An action expert that answers at once with numbers a test can predict. Allocates nothing in Plan.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "services/planning/action_expert.h"
#include "tests/fakes/gate.h"

namespace automot::planning {

class FakePreparedContext final : public PreparedContext {
 public:
  explicit FakePreparedContext(context::SnapshotPtr snapshot) : snapshot_(std::move(snapshot)) {}
  const context::ContextSnapshot& snapshot() const { return *snapshot_; }

 private:
  context::SnapshotPtr snapshot_;
};

class FakeActionExpert final : public ActionExpert {
 public:
  FakeActionExpert() {
    info_.model_revision = "fake-revision";
    info_.camera_width = 8;
    info_.camera_height = 4;
    info_.crop_rows = 3;
    info_.bev_channels = 2;
  }

  const ActionExpertInfo& info() const override { return info_; }
  ActionExpertInfo& mutable_info() { return info_; }

  absl::StatusOr<std::unique_ptr<const PreparedContext>> Prepare(
      std::shared_ptr<const context::ContextSnapshot> snapshot) const override {
    if (snapshot->header.model_revision != info_.model_revision) {
      return absl::FailedPreconditionError("model_revision is '" + snapshot->header.model_revision +
                                           "'; this expert runs '" + info_.model_revision + "'");
    }
    return std::make_unique<FakePreparedContext>(std::move(snapshot));
  }

  absl::Status WarmUp(int) override { return absl::OkStatus(); }

  // The route leads straight ahead; its first point's y is the context's version, so that a test
  // sees which one was used.
  absl::Status Plan(const PlanFeatures& features, const PreparedContext& context,
                    PlanOutput* output) override {
    plans_.fetch_add(1, std::memory_order_relaxed);
    if (fakes::Gate* gate = gate_.load(std::memory_order_acquire)) gate->Pass();
    if (fail_.load(std::memory_order_relaxed)) return absl::InternalError("asked to fail");
    const auto& fake = static_cast<const FakePreparedContext&>(context);
    for (int i = 0; i < kRoutePoints; ++i) output->trajectory.route[i] = {1.0 + i, 0.0};
    output->trajectory.route[0].y = static_cast<double>(fake.snapshot().header.id.version);
    for (int i = 0; i < kWaypoints; ++i) {
      output->trajectory.waypoints[i] = {features.speed_mps * kWaypointSpacingSeconds * (i + 1),
                                         0.0};
    }
    output->decision.slot_count = kDecisionSlots;
    for (int i = 0; i < kDecisionSlots; ++i) {
      output->decision.slots[i].time_us = features.capture_time_us + i * 1'000'000;
      output->decision.slots[i].longitudinal = LongitudinalAction::kKeep;
      output->decision.slots[i].text.Assign("keep");
      output->decision.slots[i].probability = 0.75F;
    }
    output->bev_encoder_s = 0.25;
    output->action_expert_s = 0.5;
    return absl::OkStatus();
  }

  void set_fail(bool fail) { fail_.store(fail, std::memory_order_relaxed); }
  // Each tick passes `gate`, which outlives the expert; null, the default: none.
  void set_gate(fakes::Gate* gate) { gate_.store(gate, std::memory_order_release); }
  uint64_t plans() const { return plans_.load(std::memory_order_relaxed); }

 private:
  ActionExpertInfo info_;
  std::atomic<bool> fail_{false};
  std::atomic<fakes::Gate*> gate_{nullptr};
  std::atomic<uint64_t> plans_{0};
};

}  // namespace automot::planning
