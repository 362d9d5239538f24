#include "tools/synthetic/plan_proof.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <vector>

namespace automot::synthetic {
namespace {

const TickFacts kTick{.capture_time_us = 50'000,
                      .speed_mps = 5.0,
                      .current_target = {10.0, 1.0},
                      .next_target = {20.0, 2.0},
                      .camera = 11,
                      .lidar = 12,
                      .bev_feature = 13};
const ContextFacts kContext{.session = 21,
                            .version = 3,
                            .capture_time_us = 40'000,
                            .frame = 22,
                            .speed_mps = 4.0,
                            .current_target = {9.0, 1.0},
                            .next_target = {19.0, 2.0},
                            .episode = 1};

TEST(PlanProof, EachFactChangesItsOwnFieldAndTheWhole) {
  using Change = std::function<void(TickFacts&, ContextFacts&)>;
  const std::vector<Change> changes = {
      [](auto& t, auto&) { ++t.capture_time_us; },
      [](auto& t, auto&) { t.speed_mps += 1e-9; },
      [](auto& t, auto&) { t.current_target.y = -1.0; },
      [](auto& t, auto&) { t.next_target.x = 21.0; },
      [](auto& t, auto&) { ++t.camera; },
      [](auto& t, auto&) { t.lidar = kAbsent; },
      [](auto& t, auto&) { ++t.bev_feature; },
      [](auto&, auto& c) { ++c.session; },
      [](auto&, auto& c) { ++c.episode; },
      [](auto&, auto& c) { ++c.version; },
      [](auto&, auto& c) { ++c.capture_time_us; },
      [](auto&, auto& c) { ++c.frame; },
      [](auto&, auto& c) { c.speed_mps += 1e-9; },
      [](auto&, auto& c) { c.next_target.y = -2.0; },
  };
  ASSERT_EQ(changes.size(), kProofFields - 1);
  const PlanProof plain = ProveInputs(kTick, kContext);
  for (std::size_t i = 0; i < changes.size(); ++i) {
    TickFacts tick = kTick;
    ContextFacts context = kContext;
    changes[i](tick, context);
    const PlanProof changed = ProveInputs(tick, context);
    for (std::size_t field = 0; field < kProofFields; ++field) {
      const bool must_change = field == i || field == kProofFields - 1;
      EXPECT_EQ(changed[field] != plain[field], must_change)
          << ToString(static_cast<ProofField>(field)) << " after change " << i;
    }
  }
}

TEST(PlanProof, EqualValuesOfUnlikeFieldsDoNotLookAlike) {
  TickFacts tick = kTick;
  tick.camera = tick.lidar = tick.bev_feature = 7;
  const PlanProof proof = ProveInputs(tick, kContext);
  EXPECT_EQ(std::set<double>(proof.begin(), proof.end()).size(), proof.size());
}

TEST(PlanProof, TrajectoryCarriesItExactlyAndCanBeDriven) {
  const PlanProof proof = ProveInputs(kTick, kContext);
  const Trajectory trajectory = CarryProof(proof, 5.0);
  for (int i = 0; i < kProofFields; ++i) {
    EXPECT_EQ(trajectory.route[i].y, CarriedOffset(proof[i]));
    EXPECT_LE(std::abs(trajectory.route[i].y), 0.25);
  }
  for (int i = 1; i < kRoutePoints; ++i) {
    EXPECT_GT(trajectory.route[i].x, trajectory.route[i - 1].x);
  }
  EXPECT_EQ(trajectory.waypoints[1].x, 5.0);
}

TEST(PlanProof, AbsentInputsHaveNoChecksum) {
  EXPECT_EQ(ChecksumOf(static_cast<const RgbImage*>(nullptr)), kAbsent);
  const RgbImage image{.width = 1, .height = 1, .pixels = {1, 2, 3}};
  EXPECT_NE(ChecksumOf(&image), kAbsent);
  EXPECT_NE(ChecksumOf("car-1"), ChecksumOf("car-2"));
}

}  // namespace
}  // namespace automot::synthetic
