"""Casts a LiDAR sweep from kerbs and vehicle boxes, with occlusion.

The sensor stands 2.5 m above the ego origin (spec 3.6). Each beam has an azimuth and an elevation; it
returns the nearest surface that it meets at a height at which the surface stands, so a beam may pass
over a low vehicle and hit a taller one behind. Ground returns are left out: nothing below 0.2 m enters
the model's histogram. No noise and no ego-motion smear: a sweep is taken in one instant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from automot_client.bridge.road_map import KERB_HEIGHT_M, RoadMap
from automot_client.geometry import Box, Pose, local_to_ego


@dataclass(frozen=True)
class LidarModel:
    """Number of beams, mounting height and range in metres.

    Rings look down so that consecutive ones meet the ground between `nearest_m` and `range_m` in a
    geometric series: a kerb is met at every distance by at least one ring.
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


class LidarCaster:
    """Casts sweeps in one map. Holds no state between sweeps; safe to share between threads."""

    def __init__(self, road_map: RoadMap, model: LidarModel | None = None) -> None:
        self.model = model or LidarModel()
        self._kerbs = road_map.kerbs
        self._kerb_centres = road_map.kerbs.mean(axis=1)
        self._slopes = self.model.ring_slopes()

    def sweep(self, pose: Pose, vehicles: list[Box]) -> np.ndarray:
        """Points [n, 3] float32: x, y, z in the ego frame, metres, z above ground."""
        segments, heights = self._segments(pose, vehicles)
        ray, distance, height = _crossings(segments, heights, self.model)
        return self._returns(ray, distance, height)

    def _segments(self, pose: Pose, vehicles: list[Box]) -> tuple[np.ndarray, np.ndarray]:
        offset = self._kerb_centres - (pose.x, pose.y)
        near = np.sum(offset * offset, axis=1) < (self.model.range_m + 5.0) ** 2
        parts = [self._kerbs[near]]
        heights = [np.full(int(near.sum()), KERB_HEIGHT_M)]
        for box in vehicles:
            if (box.x - pose.x) ** 2 + (box.y - pose.y) ** 2 > (self.model.range_m + box.length) ** 2:
                continue
            corners = box.corners()
            parts.append(np.stack([corners, np.roll(corners, -1, axis=0)], axis=1))
            heights.append(np.full(4, box.height))
        return local_to_ego(np.concatenate(parts), pose), np.concatenate(heights)

    def _returns(self, ray: np.ndarray, distance: np.ndarray, height: np.ndarray) -> np.ndarray:
        z = self.model.height_m - self._slopes[:, None] * distance
        reach = np.where((z > 0.0) & (z <= height), distance, np.inf)
        order = np.argsort(ray, kind="stable")
        starts = np.flatnonzero(np.diff(ray[order], prepend=-1))
        if len(starts) == 0:
            return np.zeros((0, 3), dtype=np.float32)
        nearest = np.minimum.reduceat(reach[:, order], starts, axis=1)
        ring, column = np.nonzero(np.isfinite(nearest) & (nearest <= self.model.range_m))
        hit = nearest[ring, column]
        azimuth = _azimuth(ray[order][starts][column], self.model.azimuths)
        z_hit = self.model.height_m - self._slopes[ring] * hit
        points = np.stack([hit * np.cos(azimuth), hit * np.sin(azimuth), z_hit], axis=1)
        return points.astype(np.float32)


def _azimuth(ray: np.ndarray, azimuths: int) -> np.ndarray:
    return (ray + 0.5) * (2.0 * np.pi / azimuths) - np.pi


def _crossings(
    segments: np.ndarray, heights: np.ndarray, model: LidarModel
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every crossing of an azimuth with a segment: ray index, distance and height of the segment [m]."""
    step = 2.0 * np.pi / model.azimuths
    first = np.arctan2(segments[:, 0, 1], segments[:, 0, 0])
    turn = np.arctan2(segments[:, 1, 1], segments[:, 1, 0]) - first
    turn = (turn + np.pi) % (2.0 * np.pi) - np.pi
    low = first + np.minimum(turn, 0.0)
    begin = np.ceil((low + np.pi) / step - 0.5).astype(np.int64)
    end = np.floor((low + np.abs(turn) + np.pi) / step - 0.5).astype(np.int64)
    count = np.maximum(end - begin + 1, 0)
    which = np.repeat(np.arange(len(segments)), count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    ray = begin[which] + within
    azimuth = _azimuth(ray, model.azimuths)
    direction = np.stack([np.cos(azimuth), np.sin(azimuth)], axis=1)
    a = segments[which, 0]
    edge = segments[which, 1] - a
    denominator = direction[:, 0] * edge[:, 1] - direction[:, 1] * edge[:, 0]
    safe = np.where(np.abs(denominator) < 1e-9, np.inf, denominator)
    distance = (a[:, 0] * edge[:, 1] - a[:, 1] * edge[:, 0]) / safe
    good = distance > 0.05
    return (ray % model.azimuths)[good], distance[good], heights[which][good]
