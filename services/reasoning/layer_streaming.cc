#include "services/reasoning/layer_streaming.h"

#include <algorithm>

namespace automot::reasoning {
namespace {

LayerStreaming::Mode Other(LayerStreaming::Mode mode) {
  return mode == LayerStreaming::Mode::kLayers ? LayerStreaming::Mode::kWhole
                                               : LayerStreaming::Mode::kLayers;
}

}  // namespace

LayerStreaming::Mode LayerStreaming::Begin() {
  if (setting_ == Setting::kOn) return Mode::kLayers;
  if (setting_ == Setting::kOff) return Mode::kWhole;
  if (of(mode_).samples < kTrials) return mode_;
  if (of(Other(mode_)).samples < kTrials) return Other(mode_);
  if (++since_probe_ < kProbePeriod) return mode_;
  since_probe_ = 0;
  return Other(mode_);
}

void LayerStreaming::End(Mode mode, const Times& times) {
  if (times.layers <= 0) return;
  Estimate& estimate = of(mode);
  const absl::Duration compute = times.compute / times.layers;
  const absl::Duration transfer = times.transfer / times.layers;
  const double weight = estimate.samples == 0 ? 1.0 : kWeight;
  estimate.compute += weight * (compute - estimate.compute);
  estimate.transfer += weight * (transfer - estimate.transfer);
  estimate.layers = times.layers;
  ++estimate.samples;
  if (setting_ == Setting::kAuto) Reconsider();
}

absl::Duration LayerStreaming::Expected(Mode mode) const {
  const Estimate& estimate = of(mode);
  if (estimate.samples == 0) return absl::InfiniteDuration();
  const absl::Duration c = estimate.compute, t = estimate.transfer;
  if (mode == Mode::kWhole) return estimate.layers * (c + t);
  return c + (estimate.layers - 1) * std::max(c, t) + t;
}

void LayerStreaming::Reconsider() {
  const Mode other = Other(mode_);
  if (of(mode_).samples < kTrials || of(other).samples < kTrials) return;
  if (Expected(other) >= kAdvantage * Expected(mode_)) {
    confirmations_ = 0;
  } else if (++confirmations_ == kConfirmations) {
    mode_ = other;
    confirmations_ = 0;
    since_probe_ = 0;
  }
}

}  // namespace automot::reasoning
