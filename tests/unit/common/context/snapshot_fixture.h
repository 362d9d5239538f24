// A small, complete snapshot with seeded contents, for the transfer tests.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <utility>

#include "common/context/context_snapshot.h"
#include "common/context/header_check.h"

namespace automot::context {

// 3 layers, K of 96 KiB and V of 60 KiB each: two chunks and one chunk at the smallest chunk size.
inline constexpr ContextLayout kSmallLayout{.kind = ContextLayout::Kind::kCompact,
                                            .element_type = ContextLayout::ElementType::kFloat32,
                                            .layers = 3,
                                            .tokens = 96,
                                            .kv_heads = 2,
                                            .k_head_dim = 128,
                                            .v_head_dim = 80};

inline SnapshotHeader SmallHeader() {
  SnapshotHeader header;
  header.id = {.session = 9, .episode = 2, .epoch = 40, .version = 7};
  header.capture_time_us = 1'500'000;
  header.frame_capture_times_us = {0, 500'000, 1'000'000, 1'500'000};
  header.history_spacing_s = 0.5;
  header.prompt.target_points = {Vec2{10.0, 1.0}, Vec2{20.0, -2.0}};
  header.prompt.speed_mps = 6.5;
  header.prompt.pose = Pose2{{100.0, -40.0}, 0.7};
  header.prompt.route_revision = 3;
  header.position_start = 61;
  header.layout = kSmallLayout;
  header.model_revision = "revision";
  header.prompt_template = "carla";
  header.instruction_mask = "causal";
  header.reasons.Add(Reason::kShortHistory);
  return header;
}

inline Decision SmallDecision() {
  Decision decision;
  decision.slot_count = 2;
  decision.slots[0] = {1'500'000, LongitudinalAction::kKeep, LateralAction::kGoStraight,
                       InlineText<31>("keep"), 0.75F};
  decision.slots[1] = {2'500'000, LongitudinalAction::kSlow, LateralAction::kUnspecified,
                       InlineText<31>("slow"), 0.5F};
  return decision;
}

inline SnapshotPtr SmallSnapshot(uint64_t seed = 1) {
  auto snapshot = std::make_shared<ContextSnapshot>();
  snapshot->header = SmallHeader();
  snapshot->kv = KvBuffer::Allocate(snapshot->header.layout).value();
  std::mt19937_64 random(seed);
  for (int layer = 0; layer < snapshot->header.layout.layers; ++layer) {
    for (TensorKind tensor : {TensorKind::kKey, TensorKind::kValue}) {
      for (std::byte& byte : snapshot->kv.Tensor(layer, tensor)) byte = std::byte(random() & 0xFF);
    }
  }
  snapshot->decision = SmallDecision();
  snapshot->timings.prefill_ms = 12.0;
  return snapshot;
}

inline SnapshotExpectation SmallExpectation() {
  return {.session = 9,
          .episode = 2,
          .epoch = 40,
          .model_revision = "revision",
          .prompt_template = "carla",
          .instruction_mask = "causal",
          .history_spacing_s = 0.5,
          .layout = kSmallLayout};
}

}  // namespace automot::context
