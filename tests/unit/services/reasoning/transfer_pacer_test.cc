// The times of a transfer, and the choices made from them, on a clock in the test's hands.
#include "services/reasoning/transfer_pacer.h"

#include <gtest/gtest.h>

namespace automot::reasoning {
namespace {

using Mode = LayerStreaming::Mode;
using Setting = LayerStreaming::Setting;

constexpr int kLayers = 5;

class TransferPacerTest : public ::testing::Test {
 protected:
  // One refresh and its transfer; returns what the trailer says. `early`: layers left before all
  // were computed.
  context::SnapshotTimings Run(TransferPacer& pacer, absl::Duration compute,
                               absl::Duration transfer, bool* early = nullptr) {
    ++version_;
    int sent = 0;
    bool left_early = false;
    const auto send = [&](int ready) {
      if (sent == 0) pacer.OnHeader(version_);
      for (; sent < ready; ++sent) {
        pacer.OnChunkBegun();
        clock_.Advance(transfer);
        pacer.OnChunkTaken();
      }
    };
    for (int ready = 1; ready <= kLayers; ++ready) {
      clock_.Advance(compute);
      const bool leave = pacer.OnLayers(version_, ready, kLayers);
      left_early = left_early || (leave && ready < kLayers);
      if (leave) send(ready);
    }
    context::SnapshotTimings timings;
    pacer.OnTrailer(version_, &timings);
    if (early != nullptr) *early = left_early;
    return timings;
  }

  ManualClock clock_;
  uint64_t version_ = 0;
};

TEST_F(TransferPacerTest, ReportsTheTransferAndWhenTheLastLayerWasThere) {
  TransferPacer on(Setting::kOn, &clock_);
  const auto timings = Run(on, absl::Milliseconds(10), absl::Milliseconds(2));
  EXPECT_DOUBLE_EQ(timings.transfer_ms, 10.0);
  // Header with the first layer; then four times a transfer and a computation.
  EXPECT_DOUBLE_EQ(timings.layers_ms.value(), 48.0);
  TransferPacer off(Setting::kOff, &clock_);
  EXPECT_DOUBLE_EQ(Run(off, absl::Milliseconds(10), absl::Milliseconds(2)).layers_ms.value(), 0.0);
}

TEST_F(TransferPacerTest, ASnapshotThatWaitedForItsTurnHasItsLayersBeforeItsHeader) {
  TransferPacer pacer(Setting::kOn, &clock_);
  pacer.OnLayers(1, kLayers, kLayers);
  clock_.Advance(absl::Milliseconds(7));
  pacer.OnHeader(1);
  context::SnapshotTimings timings;
  pacer.OnTrailer(1, &timings);
  EXPECT_DOUBLE_EQ(timings.layers_ms.value(), -7.0);
}

TEST_F(TransferPacerTest, WhatIsNotKnownIsNotSaid) {
  TransferPacer pacer(Setting::kOn, &clock_);
  pacer.OnHeader(3);
  context::SnapshotTimings timings;
  pacer.OnTrailer(3, &timings);
  EXPECT_FALSE(timings.layers_ms.has_value());
  pacer.OnLayers(4, 1, kLayers);  // its refresh failed
  pacer.OnHeader(4);
  pacer.OnTrailer(4, &timings);
  EXPECT_FALSE(timings.layers_ms.has_value());
}

TEST_F(TransferPacerTest, AutomaticallyHoldsLayersBackWhereStreamingDisturbsMoreThanItHides) {
  TransferPacer pacer(Setting::kAuto, &clock_);
  bool early = false;
  for (int i = 0; i < 40; ++i) {
    // On this machine a transfer stops the computing: nothing is hidden, and each layer costs more.
    const bool streams = pacer.mode() == Mode::kLayers;
    Run(pacer, absl::Microseconds(streams ? 300 : 200), absl::Microseconds(50), &early);
  }
  EXPECT_FALSE(early);
  EXPECT_EQ(pacer.mode(), Mode::kWhole);
}

}  // namespace
}  // namespace automot::reasoning
