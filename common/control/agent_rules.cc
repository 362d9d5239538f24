#include "common/control/agent_rules.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace automot::control {
namespace {

constexpr int64_t kWarmUpTicks = 31;

constexpr double kStandingMps = 0.1, kMovingMps = 0.2;  // between: the count stays
constexpr int kStuckTicks = 300;
constexpr int kForceMoveTicks = 14;
constexpr double kForceMoveThrottle = 0.4;

constexpr int64_t kParkingCheckTicks = 200;  // after the warm-up
constexpr double kParkingDisplacementM = 6.0;

constexpr int64_t kSnapshotTicks = 200;
constexpr int64_t kDeadlockTicks = 1500;
constexpr double kDeadlockDisplacementM = 5.0;

constexpr int kEscapeTicks = 40;  // one is taken off before the first use
constexpr int kEscapeCooldownTicks = 2400;
constexpr double kEscapeDistanceM = 6.0;
constexpr double kEscapeHeadingRad = 25.0 * std::numbers::pi / 180.0;
constexpr ControlCommand kEscapeCommand{.steer = -0.65, .throttle = 0.45, .brake = 0.0};

double Distance(Vec2 a, Vec2 b) { return std::hypot(a.x - b.x, a.y - b.y); }

// Farther to the side with each attempt.
TargetPoints EscapeTargets(int attempt) {
  const double side = 5.0 + 1.5 * attempt;
  return {{3.0, side}, {6.0, side}};
}

}  // namespace

bool DeadlockDetector::Observe(int64_t tick, Vec2 position) {
  if (tick % kSnapshotTicks == 0 && size_ < snapshots_.size()) {
    snapshots_[size_++] = {tick, position};
  }
  auto* const begin = snapshots_.begin();
  auto* const end = begin + size_;
  auto* const kept = std::find_if(
      begin, end, [&](const Snapshot& snapshot) { return tick - snapshot.tick <= kDeadlockTicks; });
  std::move(kept, end, begin);
  size_ = static_cast<std::size_t>(end - kept);
  if (size_ == 0 || tick - snapshots_[0].tick < kDeadlockTicks) return false;
  return std::all_of(begin, begin + size_, [&](const Snapshot& snapshot) {
    return Distance(snapshot.position, position) < kDeadlockDisplacementM;
  });
}

void AgentRules::CountStuckTicks() {
  if (speed_mps_ < kStandingMps) {
    ++state_.stuck_ticks;
  } else if (speed_mps_ > kMovingMps) {
    state_.stuck_ticks = 0;
  }
  if (state_.stuck_ticks > kStuckTicks && !state_.parking_start) {
    state_.force_move_ticks = kForceMoveTicks;
  }
}

void AgentRules::DetectParkingStart(const Pose2& pose) {
  if (tick_ == kWarmUpTicks) first_position_ = pose.position;
  if (tick_ == kWarmUpTicks + kParkingCheckTicks) {
    state_.parking_start = Distance(pose.position, first_position_) < kParkingDisplacementM;
  }
}

bool AgentRules::UpdateEscape(const Pose2& pose) {
  const bool deadlock = deadlock_.Observe(tick_, pose.position);
  if (state_.escape_cooldown_ticks > 0) --state_.escape_cooldown_ticks;
  const bool begins = deadlock && !state_.escaping && state_.escape_cooldown_ticks == 0;
  if (begins) {
    state_.escaping = true;
    state_.escape_ticks_left = kEscapeTicks;
    escape_start_ = pose;
    ++escape_attempt_;
  }
  if (!state_.escaping) return false;
  --state_.escape_ticks_left;
  const bool ends = state_.escape_ticks_left <= 0 ||
                    Distance(pose.position, escape_start_.position) > kEscapeDistanceM ||
                    std::abs(WrapAngle(pose.yaw_rad - escape_start_.yaw_rad)) > kEscapeHeadingRad;
  if (ends) {
    state_.escaping = false;
    state_.escape_ticks_left = 0;
    state_.escape_cooldown_ticks = kEscapeCooldownTicks;
  }
  return begins;
}

AgentRules::Preparation AgentRules::BeforePlan(const Pose2& pose, double speed_mps) {
  Preparation preparation;
  speed_mps_ = speed_mps;
  if (tick_ < kWarmUpTicks) {
    preparation.warming_up = true;
    preparation.command = {.steer = 0.0, .throttle = 0.0, .brake = 1.0};
    ++tick_;
    return preparation;
  }
  DetectParkingStart(pose);
  CountStuckTicks();
  preparation.pop_route = UpdateEscape(pose);
  if (state_.escaping) preparation.target_override = EscapeTargets(escape_attempt_);
  ++tick_;
  return preparation;
}

ControlCommand AgentRules::AfterPlan(const Trajectory& trajectory) {
  // Stepped during an escape too: the controller's windows have no gaps.
  ControlCommand command = follower_.StepUnlimited(trajectory, speed_mps_);
  if (state_.force_move_ticks > 0) {
    command.throttle = std::max(command.throttle, kForceMoveThrottle);
    command.brake = 0.0;
    --state_.force_move_ticks;
  }
  if (state_.escaping) command = kEscapeCommand;
  return LimitSpeed(command, speed_mps_);
}

}  // namespace automot::control
