"""Plane geometry shared by the client and the bridge.

Two frames are used, both left-handed in the plane: `local` (MetaDrive's ground frame, fixed for an
episode) and `ego` (x forward, y to the RIGHT). Angles are radians and turn x onto y. MetaDrive's own
ground frame has the same handedness, so no mirror is needed anywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pose:
    """Pose of the ego frame in the local frame: metres and radians."""

    x: float
    y: float
    yaw: float


def local_to_ego(points: np.ndarray, pose: Pose) -> np.ndarray:
    """Moves points [..., 2] in metres from the local into the ego frame."""
    delta = np.asarray(points, dtype=np.float64) - (pose.x, pose.y)
    cos, sin = math.cos(pose.yaw), math.sin(pose.yaw)
    return np.stack(
        [delta[..., 0] * cos + delta[..., 1] * sin, delta[..., 1] * cos - delta[..., 0] * sin],
        axis=-1,
    )


def ego_to_local(points: np.ndarray, pose: Pose) -> np.ndarray:
    """Moves points [..., 2] in metres from the ego into the local frame."""
    points = np.asarray(points, dtype=np.float64)
    cos, sin = math.cos(pose.yaw), math.sin(pose.yaw)
    return np.stack(
        [
            pose.x + points[..., 0] * cos - points[..., 1] * sin,
            pose.y + points[..., 0] * sin + points[..., 1] * cos,
        ],
        axis=-1,
    )


@dataclass(frozen=True)
class Box:
    """A vehicle or a thing on the road: upright box on the ground, local frame, metres and radians.

    speed_mps is along yaw. kind: 'vehicle', 'broken_vehicle', 'cone', 'warning' or 'barrier'.
    """

    x: float
    y: float
    yaw: float
    length: float
    width: float
    height: float
    speed_mps: float = 0.0
    kind: str = "vehicle"

    def corners(self) -> np.ndarray:
        """Footprint [4, 2] in the local frame: front right, front left, rear left, rear right."""
        half = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) * (self.length / 2, self.width / 2)
        return ego_to_local(half, Pose(self.x, self.y, self.yaw))


def arc_lengths(points: np.ndarray) -> np.ndarray:
    """Chord length from the first point [n] of a polyline [n, 2], metres."""
    steps = np.hypot(*np.diff(points, axis=0).T)
    return np.concatenate([[0.0], np.cumsum(steps)])


def resample(points: np.ndarray, spacing: float) -> np.ndarray:
    """A polyline [n, 2] with points each `spacing` metres of arc length, last point kept."""
    s = arc_lengths(points)
    keep = np.concatenate([[True], np.diff(s) > 1e-9])
    s, points = s[keep], points[keep]
    at = np.append(np.arange(0.0, s[-1], spacing), s[-1])
    return np.stack([np.interp(at, s, points[:, 0]), np.interp(at, s, points[:, 1])], axis=1)
