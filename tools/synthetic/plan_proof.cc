#include "tools/synthetic/plan_proof.h"

#include <algorithm>
#include <bit>

#include "common/context/chunk_hash.h"

namespace automot::synthetic {
namespace {

constexpr double kOffsetRange = 0.5;  // metres

// Mixes one value into another (the finalizer of SplitMix64).
uint64_t Mix(uint64_t seed, uint64_t value) {
  uint64_t x = seed * 0x9e3779b97f4a7c15U + value + 0x632be59bd9b4e019U;
  x ^= x >> 30U;
  x *= 0xbf58476d1ce4e5b9U;
  x ^= x >> 27U;
  x *= 0x94d049bb133111ebU;
  return x ^ (x >> 31U);
}

uint64_t Bits(double value) { return std::bit_cast<uint64_t>(value); }
uint64_t Bits(const Vec2& value) { return Mix(Bits(value.x), Bits(value.y)); }

double Fraction(uint64_t hash) { return static_cast<double>(hash >> 32U) * 0x1p-32; }

}  // namespace

std::string_view ToString(ProofField field) {
  static constexpr std::array<std::string_view, kProofFields> kNames = {"capture_time",
                                                                        "speed",
                                                                        "current_target",
                                                                        "next_target",
                                                                        "camera",
                                                                        "lidar",
                                                                        "bev_feature",
                                                                        "context_session",
                                                                        "context_episode",
                                                                        "context_version",
                                                                        "context_capture_time",
                                                                        "context_frame",
                                                                        "context_speed",
                                                                        "context_targets",
                                                                        "whole"};
  return kNames.at(static_cast<std::size_t>(field));
}

PlanProof ProveInputs(const TickFacts& tick, const ContextFacts& context) {
  const std::array<uint64_t, kProofFields - 1> values = {
      static_cast<uint64_t>(tick.capture_time_us),
      Bits(tick.speed_mps),
      Bits(tick.current_target),
      Bits(tick.next_target),
      tick.camera,
      tick.lidar,
      tick.bev_feature,
      context.session,
      context.episode,
      context.version,
      static_cast<uint64_t>(context.capture_time_us),
      context.frame,
      Bits(context.speed_mps),
      Mix(Bits(context.current_target), Bits(context.next_target))};
  PlanProof proof;
  uint64_t whole = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    proof[i] = Fraction(Mix(i, values[i]));
    whole = Mix(whole, values[i]);
  }
  proof.back() = Fraction(whole);
  return proof;
}

double CarriedOffset(double fraction) { return (fraction - 0.5) * kOffsetRange; }

Trajectory CarryProof(const PlanProof& proof, double speed_mps) {
  Trajectory trajectory;
  for (int i = 0; i < kRoutePoints; ++i) trajectory.route[i].x = 1.0 + i;
  for (int i = 0; i < kProofFields; ++i) trajectory.route[i].y = CarriedOffset(proof[i]);
  for (int i = 0; i < kWaypoints; ++i) {
    trajectory.waypoints[i].x = std::max(0.0, speed_mps) * kWaypointSpacingSeconds * (i + 1);
  }
  return trajectory;
}

uint64_t ChecksumOf(std::span<const std::byte> bytes) {
  return std::max<uint64_t>(1, context::HashChunk(bytes));
}
uint64_t ChecksumOf(std::string_view text) {
  return ChecksumOf(std::as_bytes(std::span(text.data(), text.size())));
}
uint64_t ChecksumOf(const RgbImage* image) {
  return image == nullptr ? kAbsent : ChecksumOf(std::as_bytes(std::span(image->pixels)));
}
uint64_t ChecksumOf(const LidarHistogram* histogram) {
  return histogram == nullptr ? kAbsent : ChecksumOf(std::as_bytes(std::span(histogram->counts)));
}
uint64_t ChecksumOf(const BevFeature* feature) {
  return feature == nullptr ? kAbsent : ChecksumOf(std::as_bytes(std::span(feature->values)));
}

}  // namespace automot::synthetic
