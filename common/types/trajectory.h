// What a planning tick produces. Plain values of fixed capacity: filling one allocates nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/types/geometry.h"
#include "common/types/snapshot_id.h"

namespace automot {

// Counts of the published model (spec 3.2); they are part of the contract.
inline constexpr int kRoutePoints = 20;
inline constexpr int kWaypoints = 6;
inline constexpr int kDecisionTokens = 8;
inline constexpr int kDecisionSlots = 3;
inline constexpr double kWaypointSpacingSeconds = 0.5;

enum class LongitudinalAction : uint8_t {
  kUnspecified,
  kUnparsed,
  kStop,
  kSlow,
  kKeep,
  kAccelerate
};
enum class LateralAction : uint8_t {
  kUnspecified,
  kTurnLeft,
  kSlightLeft,
  kGoStraight,
  kSlightRight,
  kTurnRight
};

// Text of bounded length held in place; longer text is cut at a UTF-8 boundary of the capacity.
template <std::size_t kCapacity>
class InlineText {
 public:
  InlineText() = default;
  explicit InlineText(std::string_view text) { Assign(text); }
  void Assign(std::string_view text) {
    std::size_t n = text.size() < kCapacity ? text.size() : kCapacity;
    if (n < text.size()) {
      while (n > 0 && (static_cast<unsigned char>(text[n]) & 0xC0U) == 0x80U) --n;
    }
    for (std::size_t i = 0; i < n; ++i) data_[i] = text[i];
    size_ = static_cast<uint8_t>(n);
  }
  std::string_view view() const { return {data_.data(), size_}; }
  friend bool operator==(const InlineText& a, const InlineText& b) { return a.view() == b.view(); }

 private:
  static_assert(kCapacity < 256);
  std::array<char, kCapacity> data_{};
  uint8_t size_ = 0;
};

// One slot of the longitudinal meta-action (spec 5.1).
struct DecisionSlot {
  int64_t time_us = 0;  // absolute session time that the slot speaks of
  LongitudinalAction longitudinal = LongitudinalAction::kUnspecified;
  LateralAction lateral = LateralAction::kUnspecified;
  InlineText<31> text;       // as decoded, stripped
  float probability = 0.0F;  // softmax over the lexicon, 0..1; 0 when unparsed
};

struct Decision {
  std::array<DecisionSlot, kDecisionSlots> slots{};
  uint8_t slot_count = 0;  // slots that the decoded text held, at most 3
};

// Planned motion in the ego frame of the observation's capture time.
struct Trajectory {
  std::array<Vec2, kRoutePoints> route{};    // ego frame, metres, along the path
  std::array<Vec2, kWaypoints> waypoints{};  // ego frame, metres, at (i + 1) * 0.5 s after capture
};

// Throttle, brake and steering as CARLA defines them.
struct ControlCommand {
  double steer = 0.0;     // -1 (left) .. 1 (right)
  double throttle = 0.0;  // 0 .. 1
  double brake = 0.0;     // 0 .. 1
};

// Why an answer is not a plain one (semantics 4). A set, kept as bits.
enum class Reason : uint8_t {
  kStale,
  kExpired,
  kNoContext,
  kRouteChanged,
  kNoLidar,
  kHalfSweep,
  kShortHistory,
  kTimeJump,
  kContextFromFuture,
  kFallback,
  kModalitySkew
};
inline constexpr int kReasonCount = 11;

class ReasonSet {
 public:
  void Add(Reason reason) { bits_ |= Bit(reason); }
  void Remove(Reason reason) { bits_ &= ~Bit(reason); }
  bool Has(Reason reason) const { return (bits_ & Bit(reason)) != 0; }
  bool empty() const { return bits_ == 0; }
  uint32_t bits() const { return bits_; }
  void Merge(ReasonSet other) { bits_ |= other.bits_; }
  friend bool operator==(ReasonSet, ReasonSet) = default;

 private:
  static uint32_t Bit(Reason reason) { return 1U << static_cast<unsigned>(reason); }
  uint32_t bits_ = 0;
};

}  // namespace automot
