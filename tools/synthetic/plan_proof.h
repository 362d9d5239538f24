// What an answer of a synthetic planner proves: a pure function of everything that the answer was
// made from, small enough to ride on a trajectory. Client and server compute it apart from each
// other, so that an answer made from another vehicle's observation or context is seen.
//
// Field i of the proof is a fraction of [0, 1) with 32 bits; point i of the answer's route is
//   x = 1 + i metres, y = (fraction - 0.5) * 0.5 metres,
// which is a route that a vehicle can follow. Doubles carry both exactly, so equality is exact.
// Pure functions, any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "common/types/geometry.h"
#include "common/types/observation.h"
#include "common/types/trajectory.h"

namespace automot::synthetic {

// Revision of everything synthetic; no checkpoint has such a name.
inline constexpr char kModelRevision[] = "synthetic:plan-proof-v1";

// Checksum of what is absent.
inline constexpr uint64_t kAbsent = 0;

// Of one observation as the action expert gets it.
struct TickFacts {
  SessionTimeUs capture_time_us = 0;
  double speed_mps = 0.0;
  Vec2 current_target, next_target;  // ego frame, metres
  uint64_t camera = kAbsent;         // ChecksumOf the decoded picture
  uint64_t lidar = kAbsent;          // of the histogram's counts
  uint64_t bev_feature = kAbsent;    // of its values
};

// Of the context that a tick was planned with. A synthetic snapshot's keys and values hold these
// bytes: no padding, so that it can be copied in and out.
struct ContextFacts {
  uint64_t session = 0;  // ChecksumOf its name
  uint64_t version = 0;
  SessionTimeUs capture_time_us = 0;
  uint64_t frame = kAbsent;          // its newest camera picture
  double speed_mps = 0.0;            // of the frozen prompt
  Vec2 current_target, next_target;  // of the frozen prompt
  uint64_t episode = 0;

  friend bool operator==(const ContextFacts&, const ContextFacts&) = default;
};
static_assert(sizeof(ContextFacts) == 80);

// The order is that of the route's points.
enum class ProofField : uint8_t {
  kCaptureTime,
  kSpeed,
  kCurrentTarget,
  kNextTarget,
  kCamera,
  kLidar,
  kBevFeature,
  kContextSession,
  kContextEpisode,
  kContextVersion,
  kContextCaptureTime,
  kContextFrame,
  kContextSpeed,
  kContextTargets,
  kWhole,  // all of the above together
};
inline constexpr int kProofFields = 15;
static_assert(kProofFields <= kRoutePoints);
std::string_view ToString(ProofField field);

using PlanProof = std::array<double, kProofFields>;

PlanProof ProveInputs(const TickFacts& tick, const ContextFacts& context);

// A trajectory that carries `proof`: its route as above, its waypoints straight ahead at the
// tick's speed.
Trajectory CarryProof(const PlanProof& proof, double speed_mps);
// The y of route point `field` that carries `fraction`, metres.
double CarriedOffset(double fraction);

uint64_t ChecksumOf(std::span<const std::byte> bytes);
uint64_t ChecksumOf(std::string_view text);
uint64_t ChecksumOf(const RgbImage* image);            // null: kAbsent
uint64_t ChecksumOf(const LidarHistogram* histogram);  // null: kAbsent
uint64_t ChecksumOf(const BevFeature* feature);        // null: kAbsent

}  // namespace automot::synthetic
