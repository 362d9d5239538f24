// The choice between single layers and whole snapshots, on times of a made-up machine.
#include "services/reasoning/layer_streaming.h"

#include <gtest/gtest.h>

#include <vector>

namespace automot::reasoning {
namespace {

using Mode = LayerStreaming::Mode;
using Setting = LayerStreaming::Setting;

constexpr int kLayers = 10;

// What computing and transferring a layer costs, and what streaming adds to the computing.
struct Machine {
  absl::Duration compute, transfer, disturbance;

  void Run(LayerStreaming& streaming, std::vector<Mode>* modes = nullptr) const {
    const Mode mode = streaming.Begin();
    const absl::Duration own = mode == Mode::kLayers ? compute + disturbance : compute;
    streaming.End(mode,
                  {.layers = kLayers, .compute = kLayers * own, .transfer = kLayers * transfer});
    if (modes != nullptr) modes->push_back(mode);
  }
};

const Machine kLargeModel{absl::Milliseconds(20), absl::Milliseconds(4), absl::Milliseconds(1)};
const Machine kSmallModel{absl::Microseconds(200), absl::Microseconds(50), absl::Microseconds(90)};

std::vector<Mode> Refreshes(LayerStreaming& streaming, const Machine& machine, int count) {
  std::vector<Mode> modes;
  for (int i = 0; i < count; ++i) machine.Run(streaming, &modes);
  return modes;
}

TEST(LayerStreamingTest, TheSettingsAreObeyedWhateverIsMeasured) {
  LayerStreaming on(Setting::kOn), off(Setting::kOff);
  for (const Mode mode : Refreshes(on, kSmallModel, 200)) EXPECT_EQ(mode, Mode::kLayers);
  for (const Mode mode : Refreshes(off, kLargeModel, 200)) EXPECT_EQ(mode, Mode::kWhole);
}

TEST(LayerStreamingTest, TriesBothAndStaysWithLayersWhereTheyHideTheTransfer) {
  LayerStreaming streaming(Setting::kAuto);
  const auto modes = Refreshes(streaming, kLargeModel, 60);
  EXPECT_EQ(
      std::vector<Mode>(modes.begin(), modes.begin() + 5),
      (std::vector<Mode>{Mode::kLayers, Mode::kLayers, Mode::kWhole, Mode::kWhole, Mode::kLayers}));
  for (std::size_t i = 4; i < modes.size(); ++i) EXPECT_EQ(modes[i], Mode::kLayers) << i;
  EXPECT_EQ(streaming.Expected(Mode::kLayers), absl::Milliseconds(21 * kLayers + 4));
  EXPECT_EQ(streaming.Expected(Mode::kWhole), absl::Milliseconds(24 * kLayers));
}

TEST(LayerStreamingTest, SwitchesToWholeSnapshotsBelowTheBreakEven) {
  LayerStreaming streaming(Setting::kAuto);
  Refreshes(streaming, kSmallModel, 6);
  EXPECT_EQ(streaming.mode(), Mode::kWhole);
  for (const Mode mode : Refreshes(streaming, kSmallModel, 50)) EXPECT_EQ(mode, Mode::kWhole);
}

TEST(LayerStreamingTest, LooksAtTheOtherModeFromTimeToTimeAndComesBack) {
  LayerStreaming streaming(Setting::kAuto);
  Refreshes(streaming, kSmallModel, 10);
  ASSERT_EQ(streaming.mode(), Mode::kWhole);
  int probes = 0;
  for (const Mode mode : Refreshes(streaming, kSmallModel, 10 * LayerStreaming::kProbePeriod)) {
    probes += mode == Mode::kLayers ? 1 : 0;
  }
  EXPECT_EQ(probes, 10);
  // The model grows: seen at the next looks.
  Refreshes(streaming, kLargeModel, 20 * LayerStreaming::kProbePeriod);
  EXPECT_EQ(streaming.mode(), Mode::kLayers);
}

TEST(LayerStreamingTest, ASmallAdvantageOrASingleOutlierChangesNothing) {
  LayerStreaming streaming(Setting::kAuto);
  // Whole is better by 3 %: not clear.
  const Machine close{absl::Microseconds(1000), absl::Microseconds(50), absl::Microseconds(75)};
  Refreshes(streaming, close, 500);
  EXPECT_EQ(streaming.mode(), Mode::kLayers);
  LayerStreaming steady(Setting::kAuto);
  Refreshes(steady, kLargeModel, 10);
  const Machine outlier{absl::Milliseconds(26), absl::Milliseconds(4), absl::Milliseconds(1)};
  outlier.Run(steady);
  EXPECT_EQ(steady.mode(), Mode::kLayers);
}

TEST(LayerStreamingTest, ATransferSlowerThanTheComputingStillOverlaps) {
  LayerStreaming streaming(Setting::kAuto);
  const Machine slow_link{absl::Milliseconds(5), absl::Milliseconds(50), absl::Milliseconds(1)};
  Refreshes(streaming, slow_link, 10);
  EXPECT_EQ(streaming.mode(), Mode::kLayers);
  EXPECT_EQ(streaming.Expected(Mode::kLayers), absl::Milliseconds(6 + 9 * 50 + 50));
}

TEST(LayerStreamingTest, TheSameTimesGiveTheSameChoices) {
  LayerStreaming a(Setting::kAuto), b(Setting::kAuto);
  EXPECT_EQ(Refreshes(a, kSmallModel, 300), Refreshes(b, kSmallModel, 300));
}

TEST(LayerStreamingTest, ARefreshWithoutLayersTeachesNothing) {
  LayerStreaming streaming(Setting::kAuto);
  streaming.End(streaming.Begin(), {});
  EXPECT_EQ(streaming.Expected(Mode::kLayers), absl::InfiniteDuration());
}

}  // namespace
}  // namespace automot::reasoning
