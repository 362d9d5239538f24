"""The path that the teacher would drive from where the vehicle is.

It begins at the vehicle, comes back to the route within metres, and passes standing obstacles by a lane
of the same direction where there is one. The route itself, and so the target points, knows no obstacle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from automot_client.bridge.route import Route
from automot_client.bridge.route_roads import RouteRoad
from automot_client.geometry import Box, Pose, resample

SPACING_M = 0.5
PATH_M = 60.0
LANE_WIDTH_M = 3.5
CORRIDOR_HALF_M = 1.25
_RETURN_M = 1.5
_SHIFT_M = 20.0
_CLEARANCE_M = 4.0
_LOOK_BACK_M = 30.0
_STANDING_KINDS = ("cone", "warning", "barrier", "broken_vehicle")


@dataclass(frozen=True)
class _Obstacle:
    """A standing obstacle along the route: its ranges in metres."""

    begin: float
    end: float
    left: float
    right: float


@dataclass(frozen=True)
class _Detour:
    """Shift of the path to the side, full from begin to end, metres; right is positive."""

    begin: float
    end: float
    shift: float

    def at(self, s: np.ndarray) -> np.ndarray:
        rise = np.clip((s - self.begin + _SHIFT_M) / _SHIFT_M, 0.0, 1.0)
        fall = np.clip((self.end + _SHIFT_M - s) / _SHIFT_M, 0.0, 1.0)
        ratio = np.minimum(rise, fall)
        return self.shift * ratio * ratio * (3.0 - 2.0 * ratio)


def plan_path(
    route: Route, roads: Sequence[RouteRoad], pose: Pose, boxes: Sequence[Box]
) -> np.ndarray:
    """Points [n, 2] each 0.5 m from the vehicle on, local frame."""
    here, across = route.frenet(pose.x, pose.y)
    detours = _detours(route, roads, boxes, here)
    s = here + np.arange(0.0, PATH_M + 1e-9, SPACING_M)
    offset = sum((detour.at(s) for detour in detours), np.zeros_like(s))
    astray = across - offset[0]
    reach = _RETURN_M * max(1.0, abs(astray))
    offset = offset + astray * np.exp(-(s - here) / reach)
    points = np.stack([np.interp(s, route.arc_m, route.points[:, i]) for i in (0, 1)], axis=1)
    tangent = np.gradient(points, axis=0)
    tangent = tangent / np.maximum(np.hypot(*tangent.T)[:, None], 1e-9)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    return resample(points + offset[:, None] * normal, SPACING_M)


def _detours(
    route: Route, roads: Sequence[RouteRoad], boxes: Sequence[Box], here: float
) -> list[_Detour]:
    obstacles = _obstacles(route, boxes, here)
    blocking = sorted((o for o in obstacles if _blocks(o, 0.0)), key=lambda o: o.begin)
    groups: list[list[_Obstacle]] = []
    for obstacle in blocking:
        if groups and obstacle.begin - groups[-1][-1].end < 2 * _SHIFT_M:
            groups[-1].append(obstacle)
        else:
            groups.append([obstacle])
    found = []
    for group in groups:
        begin = group[0].begin - _CLEARANCE_M
        end = max(o.end for o in group) + _CLEARANCE_M
        shift = _free_shift(begin, end, obstacles, roads)
        if shift is not None:
            found.append(_Detour(begin, end, shift))
    return found


def _obstacles(route: Route, boxes: Sequence[Box], here: float) -> list[_Obstacle]:
    found = []
    for box in boxes:
        if box.kind not in _STANDING_KINDS:
            continue
        s, d = route.frenet(box.x, box.y)
        if abs(d) > 4 * LANE_WIDTH_M or not here - _LOOK_BACK_M < s < here + PATH_M + _SHIFT_M:
            continue
        half = max(box.width, 0.5) / 2
        found.append(_Obstacle(s - box.length / 2, s + box.length / 2, d - half, d + half))
    return found


def _blocks(obstacle: _Obstacle, shift: float) -> bool:
    return obstacle.left < shift + CORRIDOR_HALF_M and obstacle.right > shift - CORRIDOR_HALF_M


def _free_shift(
    begin: float, end: float, obstacles: Sequence[_Obstacle], roads: Sequence[RouteRoad]
) -> float | None:
    beside = [road for road in roads if road.end_m > begin and road.begin_m < end]
    if not beside:
        return None
    left = min(road.lanes_left for road in beside)
    right = min(road.lanes_right for road in beside)
    near = [o for o in obstacles if o.end > begin and o.begin < end]
    for lanes in (-1, 1, -2, 2):
        shift = lanes * LANE_WIDTH_M
        if -left <= lanes <= right and not any(_blocks(o, shift) for o in near):
            return shift
    return None
