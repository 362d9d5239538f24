// An action expert whose answers depend on all that it is given, for tests of what must come out
// the same.
#pragma once

#include <memory>
#include <utility>

#include "common/context/chunk_hash.h"
#include "tests/fakes/fake_action_expert.h"

namespace automot::planning {

// Every input leaves its mark on the trajectory, which stays one that a car could drive.
class SensitiveExpert final : public ActionExpert {
 public:
  SensitiveExpert() { fake_.mutable_info().model_revision = "revision"; }

  const ActionExpertInfo& info() const override { return fake_.info(); }
  absl::StatusOr<std::unique_ptr<const PreparedContext>> Prepare(
      context::SnapshotPtr snapshot) const override {
    return fake_.Prepare(std::move(snapshot));
  }
  absl::Status WarmUp(int) override { return absl::OkStatus(); }
  absl::Status Plan(const PlanFeatures& features, const PreparedContext& context,
                    PlanOutput* output) override {
    const absl::Status status = fake_.Plan(features, context, output);
    const context::KvBuffer& kv = static_cast<const FakePreparedContext&>(context).snapshot().kv;
    output->trajectory.route[1].y =
        1e-6 * static_cast<double>(context::HashChunk(kv.bytes()) % 1'000'000);
    uint64_t pixels = 0;
    if (features.camera != nullptr) {
      for (const uint8_t pixel : features.camera->pixels) pixels += pixel;
    }
    output->trajectory.route[2].y = 1e-3 * static_cast<double>(pixels % 997);
    output->trajectory.route[3].y = features.target_points[0].x + bias;
    return status;
  }
  FakeActionExpert& fake() { return fake_; }

  double bias = 0.0;  // of what it answers

 private:
  FakeActionExpert fake_;
};

}  // namespace automot::planning
