// An understanding expert that computes nothing: tensors are a pure function of prompt, frames,
// layer and place, so that a test can say what a snapshot must hold. Latency is a gate, failures
// are set by the test.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/reasoning/understanding_expert.h"
#include "tests/fakes/gate.h"

namespace automot::fakes {

// What a test steers and sees of the expert, which itself belongs to the worker. Thread-safe.
struct FakeExpertControl {
  reasoning::UnderstandingExpertInfo info = {.model_revision = "00112233445566778899aabbccddeeff",
                                             .prompt_template = "fake-v1",
                                             .num_layers = 3};
  context::ContextLayout layout = {
      .layers = 3, .tokens = 40, .kv_heads = 2, .k_head_dim = 16, .v_head_dim = 8};

  // Bytes are then those of finite float32 values between 1/8 and 1/2, of either sign.
  std::atomic<bool> finite_values{false};

  Gate encode_gate;
  Gate prefill_gate;  // before the first layer
  Gate layer_gate;    // before each layer
  Gate decide_gate;
  Gate token_gate;  // before each token of an answer

  std::atomic<int> encoded{0};
  std::atomic<int> prefilled{0};  // contexts begun
  std::atomic<int> decided{0};

  std::function<void()> on_run;  // set before the engine starts; called as a run ends

  void FailPrefill(absl::Status status) { Set(&prefill_status_, std::move(status)); }
  void FailDecide(absl::Status status) { Set(&decide_status_, std::move(status)); }
  void SetAsked(const reasoning::AskOptions& options) {
    std::lock_guard lock(mutex_);
    asked_ = options;
  }
  // Of the newest question.
  reasoning::AskOptions asked() const {
    std::lock_guard lock(mutex_);
    return asked_;
  }
  absl::Status prefill_status() const { return Get(prefill_status_); }
  absl::Status decide_status() const { return Get(decide_status_); }

 private:
  void Set(absl::Status* to, absl::Status status) {
    std::lock_guard lock(mutex_);
    *to = std::move(status);
  }
  absl::Status Get(const absl::Status& from) const {
    std::lock_guard lock(mutex_);
    return from;
  }

  mutable std::mutex mutex_;
  absl::Status prefill_status_;
  absl::Status decide_status_;
  reasoning::AskOptions asked_;
};

// A frame's feature: its brightness.
struct FakeVisionFeature final : reasoning::VisionFeature {
  uint64_t value = 0;
};

// Byte `place` of a tensor: mixes all that it depends on.
inline std::byte FakeTensorByte(uint64_t seed, int layer, context::TensorKind tensor,
                                std::size_t place) {
  uint64_t x =
      seed +
      0x9e3779b97f4a7c15U * (static_cast<uint64_t>(layer) * 2 + static_cast<uint64_t>(tensor) + 1) +
      place / 8;
  x ^= x >> 31U;
  x *= 0xbf58476d1ce4e5b9U;
  x ^= x >> 29U;
  return static_cast<std::byte>(x >> (8 * (place % 8)));
}

// Seed of the tensors made from frames whose first pixels are `first_pixels`, oldest first, and the
// prompt's speed.
inline uint64_t FakeSeed(const std::vector<uint64_t>& first_pixels, double speed_mps) {
  uint64_t seed = static_cast<uint64_t>(speed_mps * 1000.0);
  for (uint64_t pixel : first_pixels) seed = seed * 1000003U + pixel;
  return seed;
}

class FakeUnderstandingExpert final : public reasoning::UnderstandingExpert {
 public:
  explicit FakeUnderstandingExpert(std::shared_ptr<FakeExpertControl> control)
      : control_(std::move(control)) {}

  const reasoning::UnderstandingExpertInfo& info() const override { return control_->info; }

  absl::StatusOr<std::shared_ptr<const reasoning::VisionFeature>> EncodeFrame(
      const RgbImage& image) override {
    control_->encode_gate.Pass();
    ++control_->encoded;
    auto feature = std::make_shared<FakeVisionFeature>();
    feature->value = image.pixels.empty() ? 0 : image.pixels.front();
    return std::shared_ptr<const reasoning::VisionFeature>(std::move(feature));
  }

  absl::StatusOr<reasoning::ContextPlan> PlanContext(const reasoning::ContextPrompt& prompt,
                                                     int image_count,
                                                     context::ContextLayout::Kind kind) override {
    reasoning::ContextPlan plan;
    plan.image_count = image_count;
    plan.layout = control_->layout;
    plan.layout.kind = kind;
    plan.position_start = plan.layout.tokens;
    plan.prefix_ids = {static_cast<int64_t>(prompt.speed_mps * 1000.0)};
    return plan;
  }

  absl::Status PrefillBatch(absl::Span<const reasoning::PrefillItem> batch,
                            const std::function<void(std::size_t, int)>& on_layer) override {
    control_->prefilled += static_cast<int>(batch.size());
    control_->prefill_gate.Pass();
    for (int layer = 0; layer < control_->layout.layers; ++layer) {
      control_->layer_gate.Pass();
      if (absl::Status status = control_->prefill_status(); !status.ok()) return status;
      for (std::size_t i = 0; i < batch.size(); ++i) {
        FillLayer(batch[i], layer);
        on_layer(i, layer);
      }
    }
    if (control_->on_run) control_->on_run();
    return absl::OkStatus();
  }

  absl::StatusOr<Decision> Decide(const reasoning::ContextPlan&, const context::KvBuffer&,
                                  const reasoning::DecisionInputs& inputs) override {
    control_->decide_gate.Pass();
    ++control_->decided;
    if (absl::Status status = control_->decide_status(); !status.ok()) return status;
    Decision decision;
    decision.slot_count = kDecisionSlots;
    for (int i = 0; i < kDecisionSlots; ++i) {
      decision.slots[static_cast<std::size_t>(i)] = {
          .time_us = inputs.capture_time_us + i * 1'000'000,
          .longitudinal = LongitudinalAction::kKeep,
          .text = InlineText<31>("keep"),
          .probability = 0.5F};
    }
    return decision;
  }

  // Says "token0 token1 ..." and ends by itself after 3 tokens.
  absl::StatusOr<bool> Ask(std::string_view, const reasoning::VisionFeatures&,
                           const reasoning::AskOptions& options,
                           const std::function<bool(std::string_view)>& on_text,
                           const std::function<void()>& yield) override {
    constexpr int kTokens = 3;
    control_->SetAsked(options);
    for (int i = 0; i < kTokens; ++i) {
      if (i == options.max_tokens) return false;
      control_->token_gate.Pass();
      yield();
      if (!on_text(absl::StrCat("token", i, " "))) return false;
    }
    return true;
  }

 private:
  void FillLayer(const reasoning::PrefillItem& item, int layer) const {
    std::vector<uint64_t> pixels;
    for (const auto& feature : *item.features) {
      pixels.push_back(static_cast<const FakeVisionFeature&>(*feature).value);
    }
    const double speed_mps = static_cast<double>(item.plan->prefix_ids.at(0)) / 1000.0;
    const uint64_t seed = FakeSeed(pixels, speed_mps);
    for (const auto tensor : {context::TensorKind::kKey, context::TensorKind::kValue}) {
      const auto bytes = item.keys_values->Tensor(layer, tensor);
      for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = FakeTensorByte(seed, layer, tensor, i);
        if (control_->finite_values && i % 4 == 3) {
          bytes[i] = (bytes[i] & std::byte{0x80}) | std::byte{0x3e};
        }
      }
    }
  }

  const std::shared_ptr<FakeExpertControl> control_;
};

}  // namespace automot::fakes
