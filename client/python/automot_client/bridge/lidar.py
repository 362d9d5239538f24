"""Casts a LiDAR sweep from kerbs and vehicle boxes, with occlusion.

The sensor stands 2.5 m above the ego origin (spec 3.6). Each beam has an azimuth and an elevation; it
returns the first surface that it meets: a kerb, the side of a box or its roof. So a beam may pass over
a low vehicle and hit a taller one behind. Ground returns are left out: nothing below 0.2 m enters the
model's histogram. No noise and no ego-motion smear: a sweep is taken in one instant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from automot_client.bridge.road_map import KERB_HEIGHT_M, RoadMap
from automot_client.geometry import Box, Pose, local_to_ego


@dataclass(frozen=True)
class LidarModel:
    """Number of beams, mounting height and range in metres.

    Rings look down so that consecutive ones meet the ground between `nearest_m` and beyond `range_m` in
    a geometric series: a kerb is met at every distance by at least one ring.
    """

    azimuths: int = 1080
    rings: int = 48
    height_m: float = 2.5
    nearest_m: float = 2.6
    range_m: float = 48.0

    def ring_slopes(self) -> np.ndarray:
        """Height lost per metre of distance [rings], aimed 0.3 m above the ground."""
        distances = np.geomspace(self.nearest_m, self.range_m * 1.3, self.rings)
        return (self.height_m - 0.3) / distances


@dataclass(frozen=True)
class _Crossings:
    """Where azimuths cross obstacles [m]: ray index, distances of entry and exit, obstacle's height."""

    ray: np.ndarray
    enter: np.ndarray
    leave: np.ndarray
    height: np.ndarray


class LidarCaster:
    """Casts sweeps in one map. Holds no state between sweeps; safe to share between threads."""

    def __init__(self, road_map: RoadMap, model: LidarModel | None = None) -> None:
        self.model = model or LidarModel()
        self._kerbs = road_map.kerbs
        self._kerb_centres = road_map.kerbs.mean(axis=1)
        self._slopes = self.model.ring_slopes()

    def sweep(self, pose: Pose, vehicles: list[Box]) -> np.ndarray:
        """Points [n, 3] float32: x, y, z in the ego frame, metres, z above ground."""
        kerbs = self._kerb_crossings(pose)
        boxes = self._box_crossings(pose, vehicles)
        return self._returns(
            *(
                np.concatenate([getattr(kerbs, f), getattr(boxes, f)])
                for f in ("ray", "enter", "leave", "height")
            )
        )

    def _kerb_crossings(self, pose: Pose) -> _Crossings:
        offset = self._kerb_centres - (pose.x, pose.y)
        near = np.sum(offset * offset, axis=1) < (self.model.range_m + 5.0) ** 2
        segments = local_to_ego(self._kerbs[near], pose)
        first = np.arctan2(segments[:, 0, 1], segments[:, 0, 0])
        turn = _wrap(np.arctan2(segments[:, 1, 1], segments[:, 1, 0]) - first)
        which, ray = _rays_within(first + np.minimum(turn, 0.0), np.abs(turn), self.model.azimuths)
        direction = _directions(ray, self.model.azimuths)
        start = segments[which, 0]
        edge = segments[which, 1] - start
        across = _cross(direction, edge)
        distance = _cross(start, edge) / np.where(np.abs(across) < 1e-9, np.inf, across)
        return _Crossings(ray, distance, distance, np.full(len(ray), KERB_HEIGHT_M))

    def _box_crossings(self, pose: Pose, vehicles: list[Box]) -> _Crossings:
        near = [
            box
            for box in vehicles
            if np.hypot(box.x - pose.x, box.y - pose.y) < self.model.range_m + box.length
        ]
        if not near:
            empty = np.zeros(0)
            return _Crossings(empty.astype(np.int64), empty, empty, empty)
        centres = local_to_ego(np.array([(box.x, box.y) for box in near]), pose)
        corners = local_to_ego(np.array([box.corners() for box in near]), pose)
        middle = np.arctan2(centres[:, 1], centres[:, 0])
        spread = _wrap(np.arctan2(corners[..., 1], corners[..., 0]) - middle[:, None])
        which, ray = _rays_within(
            middle + spread.min(axis=1), np.ptp(spread, axis=1), self.model.azimuths
        )
        yaw = np.array([box.yaw for box in near])[which] - pose.yaw
        half = np.array([(box.length / 2, box.width / 2) for box in near])[which]
        direction = _turn(_directions(ray, self.model.azimuths), -yaw)
        origin = _turn(-centres[which], -yaw)
        enter, leave = _slab(origin, direction, half)
        hit = (enter <= leave) & (enter > 0.0)
        height = np.array([box.height for box in near])[which]
        return _Crossings(ray[hit], enter[hit], leave[hit], height[hit])

    def _returns(
        self, ray: np.ndarray, enter: np.ndarray, leave: np.ndarray, height: np.ndarray
    ) -> np.ndarray:
        order = np.argsort(ray, kind="stable")
        starts = np.flatnonzero(np.diff(ray[order], prepend=-1))
        if len(starts) == 0:
            return np.zeros((0, 3), dtype=np.float32)
        reach = self._reach(enter[order], leave[order], height[order])
        nearest = np.minimum.reduceat(reach, starts, axis=1)
        ring, column = np.nonzero(nearest <= self.model.range_m)
        distance = nearest[ring, column]
        direction = _directions(ray[order][starts][column], self.model.azimuths)
        z = self.model.height_m - self._slopes[ring] * distance
        return np.column_stack([direction * distance[:, None], z]).astype(np.float32)

    def _reach(self, enter: np.ndarray, leave: np.ndarray, height: np.ndarray) -> np.ndarray:
        """Distance [rings, m] at which each ring's beam meets each obstacle; infinite where it misses."""
        slopes = self._slopes[:, None]
        z_enter = self.model.height_m - slopes * enter
        z_leave = self.model.height_m - slopes * leave
        side = np.where((z_enter > 0.0) & (z_enter <= height), enter, np.inf)
        roof = (z_enter > height) & (z_leave <= height)
        return np.where(roof, (self.model.height_m - height) / slopes, side)


def _rays_within(
    low: np.ndarray, width: np.ndarray, azimuths: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (obstacle, ray) [m] of all azimuths within [low, low + width] radians of each obstacle."""
    step = 2.0 * np.pi / azimuths
    begin = np.ceil((low + np.pi) / step - 0.5).astype(np.int64)
    end = np.floor((low + width + np.pi) / step - 0.5).astype(np.int64)
    count = np.maximum(end - begin + 1, 0)
    which = np.repeat(np.arange(len(low)), count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return which, (begin[which] + within) % azimuths


def _directions(ray: np.ndarray, azimuths: int) -> np.ndarray:
    azimuth = (ray + 0.5) * (2.0 * np.pi / azimuths) - np.pi
    return np.stack([np.cos(azimuth), np.sin(azimuth)], axis=1)


def _slab(
    origin: np.ndarray, direction: np.ndarray, half: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Entry and exit distance [m] of rays with boxes centred on zero and aligned with the axes."""
    safe = np.where(np.abs(direction) < 1e-12, 1e-12, direction)
    one, other = (-half - origin) / safe, (half - origin) / safe
    return np.minimum(one, other).max(axis=1), np.maximum(one, other).min(axis=1)


def _turn(points: np.ndarray, angle: np.ndarray) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack(
        [points[:, 0] * cos - points[:, 1] * sin, points[:, 0] * sin + points[:, 1] * cos], axis=1
    )


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def _wrap(angle: np.ndarray) -> np.ndarray:
    return (angle + np.pi) % (2.0 * np.pi) - np.pi
