"""The teacher's plan for any state of the world, as labels and as what it drives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from automot_client.bridge.route import Route
from automot_client.bridge.route_roads import RouteRoad
from automot_client.bridge.world import WorldState
from automot_client.geometry import arc_lengths, local_to_ego
from automot_client.teacher.forecast import STEP_S, forecast
from automot_client.teacher.path import plan_path
from automot_client.teacher.speed import IdmOptions, roll_out

NAME = "route-idm-1"
STOP, SLOW, KEEP, ACCELERATE = range(4)
_STOPPED_MPS = 0.5
_CHANGE_MPS = 0.5


@dataclass(frozen=True)
class TeacherPlan:
    """A plan in the ego frame, metres and m/s.

    route [20, 2], 1 m apart; waypoints [6, 2] at 0.5 ... 3 s; decisions [3] (0 stop, 1 slow, 2 keep,
    3 accelerate) of the seconds from 0, 1 and 2 s on; future_speeds [3] at 1, 2 and 3 s.
    path: the same way as points [n, 2] in the local frame.
    """

    route: np.ndarray
    waypoints: np.ndarray
    decisions: np.ndarray
    future_speeds: np.ndarray
    path: np.ndarray


class Teacher:
    """Plans from the true state; keeps none between calls, so it answers states it did not cause."""

    def __init__(
        self,
        route: Route,
        roads: Sequence[RouteRoad],
        ego_length_m: float,
        options: IdmOptions | None = None,
    ) -> None:
        self._route = route
        self._roads = roads
        self._length = ego_length_m
        self.options = options or IdmOptions()

    def plan(self, state: WorldState) -> TeacherPlan:
        """The plan for a state whose position the route's progress has seen."""
        path = plan_path(self._route, self._roads, state.pose, state.vehicles)
        occupancy = forecast(path, state.vehicles, state.pose)
        distance, speed = roll_out(path, occupancy, state.speed_mps, self._length, self.options)
        ego_path = local_to_ego(path, state.pose)
        half_second = round(0.5 / STEP_S)
        second = round(1.0 / STEP_S)
        return TeacherPlan(
            route=_along(ego_path, np.arange(1.0, 21.0)),
            waypoints=_along(ego_path, distance[half_second::half_second]),
            decisions=decide(speed[::second]),
            future_speeds=speed[second::second].astype(np.float32),
            path=path,
        )


def decide(speeds: np.ndarray) -> np.ndarray:
    """Decisions [n - 1] between speeds [n] that lie a second apart."""
    before, after = speeds[:-1], speeds[1:]
    change = np.where(
        after > before + _CHANGE_MPS, ACCELERATE, np.where(after < before - _CHANGE_MPS, SLOW, KEEP)
    )
    return np.where(after <= _STOPPED_MPS, STOP, change).astype(np.uint8)


def _along(points: np.ndarray, where: np.ndarray) -> np.ndarray:
    arc = arc_lengths(points)
    return np.stack([np.interp(where, arc, points[:, i]) for i in (0, 1)], axis=1)
