#include "tests/benchmark/context/timed_expert.h"

#include <thread>
#include <utility>

namespace automot::benchmarks {
namespace {

using context::TensorKind;

struct NoFeature final : reasoning::VisionFeature {};

}  // namespace

TimedExpert::TimedExpert(std::shared_ptr<TimedExpertControl> control)
    : control_(std::move(control)),
      info_{.model_revision = kBenchRevision,
            .prompt_template = "bench-v1",
            .num_layers = control_->layout.layers} {}

absl::StatusOr<std::shared_ptr<const reasoning::VisionFeature>> TimedExpert::EncodeFrame(
    const RgbImage&) {
  return std::make_shared<const NoFeature>();
}

absl::StatusOr<reasoning::ContextPlan> TimedExpert::PlanContext(const reasoning::ContextPrompt&,
                                                                int image_count,
                                                                context::ContextLayout::Kind kind) {
  reasoning::ContextPlan plan;
  plan.image_count = image_count;
  plan.layout = control_->layout;
  plan.layout.kind = kind;
  plan.position_start = plan.layout.tokens;
  return plan;
}

absl::Status TimedExpert::PrefillBatch(absl::Span<const reasoning::PrefillItem> batch,
                                       const std::function<void(std::size_t, int)>& on_layer) {
  for (std::size_t i = 0; i < batch.size(); ++i) {
    FillOne(batch[i], [&](int layer) { on_layer(i, layer); });
  }
  return absl::OkStatus();
}

void TimedExpert::FillOne(const reasoning::PrefillItem& item,
                          const std::function<void(int)>& on_layer) {
  context::KvBuffer& keys_values = *item.keys_values;
  const int layers = item.plan->layout.layers;
  if (filled_.insert(keys_values.bytes().data()).second) {
    ++control_->buffers;
    for (int layer = 0; layer < layers; ++layer) {
      FillWithNoise(keys_values.Tensor(layer, TensorKind::kKey), 2 * static_cast<uint64_t>(layer));
      FillWithNoise(keys_values.Tensor(layer, TensorKind::kValue),
                    2 * static_cast<uint64_t>(layer) + 1);
    }
  }
  ++version_;
  const std::chrono::microseconds period(control_->layer_us.load());
  auto due = std::chrono::steady_clock::now();
  for (int layer = 0; layer < layers; ++layer) {
    if (period.count() > 0) std::this_thread::sleep_until(due += period);
    for (const TensorKind tensor : {TensorKind::kKey, TensorKind::kValue}) {
      StampVersion(keys_values.Tensor(layer, tensor), version_);
    }
    if (layer == layers - 1) StampTime(keys_values.Tensor(layer, TensorKind::kValue), NowNs());
    on_layer(layer);
  }
}

absl::StatusOr<Decision> TimedExpert::Decide(const reasoning::ContextPlan&,
                                             const context::KvBuffer&,
                                             const reasoning::DecisionInputs&) {
  return Decision();
}

absl::StatusOr<bool> TimedExpert::Ask(std::string_view, const reasoning::VisionFeatures&,
                                      const reasoning::AskOptions&,
                                      const std::function<bool(std::string_view)>&,
                                      const std::function<void()>&) {
  return absl::UnimplementedError("the benchmark asks nothing");
}

}  // namespace automot::benchmarks
