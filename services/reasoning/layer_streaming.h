// Whether the layers of a refresh leave one by one, or together once the last one is computed:
// whichever made snapshots complete sooner, by what was measured in both ways.
//
// One by one, a transfer hides behind the computing of later layers, but it disturbs that
// computing (cores, caches, memory); below some size the disturbance costs more than it hides. With
// L layers, c the time to compute one and t the time to transfer one, each measured in that mode:
//   layers: c + (L - 1) * max(c, t) + t          whole: L * (c + t)
// Both modes are tried at first, and the one that is not in use again from time to time. A switch
// needs a clear advantage, twice in a row.
//
// Not thread-safe. Deterministic: no clock of its own, the times are given.
#pragma once

#include <array>
#include <cstdint>

#include "absl/time/time.h"

namespace automot::reasoning {

class LayerStreaming {
 public:
  enum class Setting : uint8_t { kAuto, kOn, kOff };
  enum class Mode : uint8_t { kLayers = 0, kWhole = 1 };
  // One refresh, as it went.
  struct Times {
    int layers = 0;
    absl::Duration compute;   // of all layers
    absl::Duration transfer;  // of all layers, waiting for them not included
  };

  static constexpr int kTrials = 2;           // refreshes that each mode gets at first
  static constexpr int kProbePeriod = 64;     // refreshes between two looks at the other mode
  static constexpr double kWeight = 0.25;     // of a new measurement
  static constexpr double kAdvantage = 0.95;  // the other mode's share of the time that is clear
  static constexpr int kConfirmations = 2;    // clear advantages in a row before a switch

  explicit LayerStreaming(Setting setting) : setting_(setting) {}

  // The mode of the refresh that begins. Every Begin but those of failed refreshes has its End.
  Mode Begin();
  // How a refresh in `mode` went; ignored where it has no layers.
  void End(Mode mode, const Times& times);

  // The mode in use, probes apart.
  Mode mode() const { return mode_; }
  // Expected time to complete a snapshot in `mode`; infinite where nothing is known.
  absl::Duration Expected(Mode mode) const;

 private:
  struct Estimate {
    int samples = 0;
    int layers = 0;
    absl::Duration compute, transfer;  // of one layer
  };

  Estimate& of(Mode mode) { return estimates_[static_cast<std::size_t>(mode)]; }
  const Estimate& of(Mode mode) const { return estimates_[static_cast<std::size_t>(mode)]; }
  void Reconsider();

  const Setting setting_;
  Mode mode_ = Mode::kLayers;
  std::array<Estimate, 2> estimates_;
  int since_probe_ = 0;
  int confirmations_ = 0;
};

}  // namespace automot::reasoning
