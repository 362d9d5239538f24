"""The published agent's rules around the model: warm-up, force-move, parking start, escape, 35 km/h.

They are heuristics that are part of its reported closed-loop score. A port of
`automot::control::AgentRules` without its controller, which is the session's; both are held to the golden
cases f_agent_rules_*. Per tick: `before_plan`, then, unless that says warm-up, the plan and `after_plan`.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from automot_client.carla_agent.pose_filter import wrap_angle
from automot_client.geometry import Pose
from automot_client.types import Control

FULL_BRAKE = Control(steer=0.0, throttle=0.0, brake=1.0)
ESCAPE_POPS, ESCAPE_KEEPS_POINTS = 5, 3  # Route points that an escape drops, and that always stay.

_WARM_UP_TICKS = 31
_STANDING_MPS, _MOVING_MPS = 0.1, 0.2  # Between: the count stays.
_STUCK_TICKS = 300
_FORCE_MOVE_TICKS = 14
_FORCE_MOVE_THROTTLE = 0.4
_PARKING_CHECK_TICKS = 200  # After the warm-up.
_PARKING_DISPLACEMENT_M = 6.0
_SNAPSHOT_TICKS = 200
_DEADLOCK_TICKS = 1500
_DEADLOCK_DISPLACEMENT_M = 5.0
_ESCAPE_TICKS = 40  # One is taken off before the first use.
_ESCAPE_COOLDOWN_TICKS = 2400
_ESCAPE_DISTANCE_M = 6.0
_ESCAPE_HEADING_RAD = math.radians(25.0)
_ESCAPE_COMMAND = Control(steer=-0.65, throttle=0.45, brake=0.0)
_SPEED_LIMIT_KMH = 35.0


@dataclass(frozen=True)
class Preparation:
    """What to do with a tick.

    target_override: points [2, 2] for the model in place of the route's, ego frame, metres.
    pop_route: an escape begins: drop ESCAPE_POPS route points.
    """

    warming_up: bool = False
    target_override: np.ndarray | None = None
    pop_route: bool = False


class AgentRules:
    """The rules of one vehicle; counts ticks of 50 ms. Not thread-safe."""

    def __init__(self) -> None:
        self.stuck_ticks = 0
        self.force_move_ticks = 0
        self.parking_start = False
        self.escaping = False
        self.escape_ticks_left = 0
        self.escape_cooldown_ticks = 0
        self._tick = 0  # Of the next before_plan.
        self._speed_mps = 0.0
        self._first = Pose(0.0, 0.0, 0.0)  # At the first tick after the warm-up.
        self._escape_start = Pose(0.0, 0.0, 0.0)
        self._escape_attempt = 0
        self._snapshots: list[tuple[int, Pose]] = []  # Oldest first.

    def before_plan(self, pose: Pose, speed_mps: float) -> Preparation:
        """What to do with the tick at `pose`, in a fixed frame."""
        self._speed_mps = speed_mps
        if self._tick < _WARM_UP_TICKS:
            self._tick += 1
            return Preparation(warming_up=True)
        self._detect_parking_start(pose)
        self._count_stuck_ticks()
        begins = self._update_escape(pose)
        self._tick += 1
        override = _escape_targets(self._escape_attempt) if self.escaping else None
        return Preparation(target_override=override, pop_route=begins)

    def after_plan(self, command: Control) -> Control:
        """The command to drive, from the controller's for the last before_plan's pose and speed."""
        if self.force_move_ticks > 0:
            throttle = max(command.throttle, _FORCE_MOVE_THROTTLE)
            command = dataclasses.replace(command, throttle=throttle, brake=0.0)
            self.force_move_ticks -= 1
        if self.escaping:
            command = _ESCAPE_COMMAND
        if self._speed_mps * 3.6 > _SPEED_LIMIT_KMH:
            command = dataclasses.replace(command, throttle=0.0, brake=1.0)
        return command

    def _count_stuck_ticks(self) -> None:
        if self._speed_mps < _STANDING_MPS:
            self.stuck_ticks += 1
        elif self._speed_mps > _MOVING_MPS:
            self.stuck_ticks = 0
        if self.stuck_ticks > _STUCK_TICKS and not self.parking_start:
            self.force_move_ticks = _FORCE_MOVE_TICKS

    def _detect_parking_start(self, pose: Pose) -> None:
        if self._tick == _WARM_UP_TICKS:
            self._first = pose
        if self._tick == _WARM_UP_TICKS + _PARKING_CHECK_TICKS:
            self.parking_start = _distance(pose, self._first) < _PARKING_DISPLACEMENT_M

    def _update_escape(self, pose: Pose) -> bool:
        """True where an escape begins."""
        deadlock = self._observe_deadlock(pose)
        self.escape_cooldown_ticks = max(self.escape_cooldown_ticks - 1, 0)
        begins = deadlock and not self.escaping and self.escape_cooldown_ticks == 0
        if begins:
            self.escaping = True
            self.escape_ticks_left = _ESCAPE_TICKS
            self._escape_start = pose
            self._escape_attempt += 1
        if not self.escaping:
            return False
        self.escape_ticks_left -= 1
        turned = abs(wrap_angle(pose.yaw - self._escape_start.yaw))
        if (
            self.escape_ticks_left <= 0
            or _distance(pose, self._escape_start) > _ESCAPE_DISTANCE_M
            or turned > _ESCAPE_HEADING_RAD
        ):
            self.escaping = False
            self.escape_ticks_left = 0
            self.escape_cooldown_ticks = _ESCAPE_COOLDOWN_TICKS
        return begins

    def _observe_deadlock(self, pose: Pose) -> bool:
        """True where the car has hardly moved for 1500 ticks."""
        if self._tick % _SNAPSHOT_TICKS == 0:
            self._snapshots.append((self._tick, pose))
        self._snapshots = [
            snapshot for snapshot in self._snapshots if self._tick - snapshot[0] <= _DEADLOCK_TICKS
        ]
        if not self._snapshots or self._tick - self._snapshots[0][0] < _DEADLOCK_TICKS:
            return False
        return all(_distance(kept, pose) < _DEADLOCK_DISPLACEMENT_M for _, kept in self._snapshots)


def _escape_targets(attempt: int) -> np.ndarray:
    """Farther to the side with each attempt."""
    side = 5.0 + 1.5 * attempt
    return np.array([[3.0, side], [6.0, side]])


def _distance(a: Pose, b: Pose) -> float:
    return math.hypot(a.x - b.x, a.y - b.y)
