// The published agent's rules around the model (spec 5.2): warm-up, force-move when stuck, parking
// start, escape from a deadlock, and the 35 km/h limit last. They are heuristics that are part of
// its reported closed-loop score: an explicit layer, used only where a client asks for it.
//
// Per tick: BeforePlan, then, unless it says that the tick is a warm-up, the model and AfterPlan.
// Counts ticks of 50 ms. Not thread-safe. Allocates nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "common/control/trajectory_follower.h"
#include "common/types/geometry.h"
#include "common/types/trajectory.h"

namespace automot::control {

// In place of the route planner's points; ego frame, metres.
struct TargetPoints {
  Vec2 current;
  Vec2 next;
};

// Whether the car has hardly moved for 1500 ticks. Keeps one position per 200 ticks.
class DeadlockDetector {
 public:
  // True where the oldest kept position is 1500 ticks old and `position` lies within 5 m of every
  // kept one. `tick` rises by 1 per call.
  bool Observe(int64_t tick, Vec2 position);
  void Reset() { size_ = 0; }

 private:
  struct Snapshot {
    int64_t tick = 0;
    Vec2 position;
  };
  std::array<Snapshot, 9> snapshots_{};  // oldest first
  std::size_t size_ = 0;
};

class AgentRules {
 public:
  static constexpr int kEscapePops = 5;         // route points that an escape drops
  static constexpr int kEscapeKeepsPoints = 3;  // but this many always stay

  struct Preparation {
    bool warming_up = false;  // do not plan: AfterPlan is not called, the command is `command`
    ControlCommand command;   // with warming_up: full brake
    std::optional<TargetPoints> target_override;  // feed these to the model
    bool pop_route = false;  // an escape begins: RoutePlanner::Pop(kEscapePops, kEscapeKeepsPoints)
  };

  // What the rules remember, for reports.
  struct State {
    int stuck_ticks = 0;
    int force_move_ticks = 0;
    bool parking_start = false;
    bool escaping = false;
    int escape_ticks_left = 0;
    int escape_cooldown_ticks = 0;
  };

  // pose: ego in a fixed frame, metres and radians, finite.
  Preparation BeforePlan(const Pose2& pose, double speed_mps);

  // The command for the trajectory planned at the pose and speed of the last BeforePlan.
  ControlCommand AfterPlan(const Trajectory& trajectory);

  const State& state() const { return state_; }

  // As new, controller included.
  void Reset() { *this = AgentRules(); }

 private:
  void CountStuckTicks();
  void DetectParkingStart(const Pose2& pose);
  bool UpdateEscape(const Pose2& pose);  // true where an escape begins

  TrajectoryFollower follower_;
  DeadlockDetector deadlock_;
  State state_;
  int64_t tick_ = 0;  // of the next BeforePlan
  double speed_mps_ = 0.0;
  Vec2 first_position_;  // at the first tick after the warm-up
  Pose2 escape_start_;
  int escape_attempt_ = 0;
};

}  // namespace automot::control
