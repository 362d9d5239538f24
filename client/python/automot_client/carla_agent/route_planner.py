"""From a sparse global plan to the model's two target points.

A port of `automot::control::RoutePlanner`; both are held to the golden case f_route_planner.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from automot_client.geometry import Pose, local_to_ego

_REACH_M = 7.5
_LANE_CHANGE_REACH_M = 15.0
_SEARCH_M = 50.0  # Of summed segment length.
_FEWEST_POINTS = 2
_PAST_TARGET_M = 5.0
_STRAIGHT_AHEAD_M = 50.0

LANE_FOLLOW, CHANGE_LANE_LEFT, CHANGE_LANE_RIGHT = 4, 5, 6  # As CARLA numbers its road options.


@dataclass(frozen=True)
class PlanPoint:
    """One point of the global plan: local frame, metres, and CARLA's road option by number."""

    x: float
    y: float
    option: int = LANE_FOLLOW


class RoutePlanner:
    """Where one vehicle is on its plan. Not thread-safe."""

    def __init__(self, plan: Sequence[PlanPoint]) -> None:
        """The plan, at about 50 m between points. ValueError names a point that is not finite."""
        for index, point in enumerate(plan):
            if not (math.isfinite(point.x) and math.isfinite(point.y)):
                raise ValueError(f"plan[{index}] is ({point.x}, {point.y}); both must be finite")
        self._plan = list(plan)
        self._first = 0  # Points before it are dropped.

    @property
    def remaining(self) -> int:
        """Points left."""
        return len(self._plan) - self._first

    def step(self, ego: Pose) -> np.ndarray:
        """Drops the points that the ego has come to; target points [2, 2] in the ego frame, metres."""
        self._drop_passed(ego)
        ahead = self._plan[self._first + 1 : self._first + 3]
        if not ahead:
            current = np.array([_STRAIGHT_AHEAD_M, 0.0])
            return np.stack([current, _past(current)])
        targets = local_to_ego(np.array([(point.x, point.y) for point in ahead]), ego)
        return targets if len(ahead) == 2 else np.stack([targets[0], _past(targets[0])])

    def pop(self, count: int, keep: int) -> None:
        """Drops up to `count` points from the front as long as more than `keep` are left."""
        self._first += min(count, max(self.remaining - keep, 0))

    def _drop_passed(self, ego: Pose) -> None:
        """Of the points in reach the farthest becomes the first of the route."""
        if self.remaining <= _FEWEST_POINTS:
            return
        searched, farthest, first = 0.0, -1.0, self._first
        for index in range(self._first + 1, len(self._plan)):
            if searched > _SEARCH_M:
                break
            point, before = self._plan[index], self._plan[index - 1]
            searched += _distance(point, before)
            distance = math.hypot(point.x - ego.x, point.y - ego.y)
            if farthest < distance <= self._reach(index):
                farthest, first = distance, index
        self._first = min(first, len(self._plan) - _FEWEST_POINTS)

    def _reach(self, index: int) -> float:
        """Points of a lane change, which come in short segments, are passed from farther away."""
        point = self._plan[index]
        last = index + 1 >= len(self._plan)
        if last or point.option not in (CHANGE_LANE_LEFT, CHANGE_LANE_RIGHT):
            return _REACH_M
        following = self._plan[index + 1]
        short = _distance(point, following) < _REACH_M
        return _LANE_CHANGE_REACH_M if short or following.option == LANE_FOLLOW else _REACH_M


def plan_points(world_plan: Sequence[Any]) -> list[PlanPoint]:
    """The plan as the leaderboard hands it out: `(transform, road option)`, downsampled to about 50 m."""
    return [
        PlanPoint(float(transform.location.x), float(transform.location.y), _number(option))
        for transform, option in world_plan
    ]


def _number(option: Any) -> int:
    return int(getattr(option, "value", option))


def _distance(a: PlanPoint, b: PlanPoint) -> float:
    return math.hypot(a.x - b.x, a.y - b.y)


def _past(target: np.ndarray) -> np.ndarray:
    """5 m farther along the line from the ego to `target`; straight ahead where the ego stands on it."""
    length = math.hypot(target[0], target[1])
    if not length > 0.0:
        return np.array([target[0] + _PAST_TARGET_M, target[1]])
    return target * ((length + _PAST_TARGET_M) / length)
