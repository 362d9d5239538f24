"""When and where other vehicles are expected in the path: constant velocity for some seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from automot_client.geometry import Box, Pose, local_to_ego
from automot_client.teacher.path import CORRIDOR_HALF_M

STEP_S = 0.25
HORIZON_S = 4.0
_RANGE_M = 70.0
_EDGE = np.array(
    [(1, 1), (1, -1), (-1, -1), (-1, 1), (1, 0), (-1, 0), (0, 1), (0, -1), (0, 0)], dtype=float
)


@dataclass(frozen=True)
class Occupancy:
    """Boxes [k] at times [t] along the path, metres from its begin; infinite begin where outside.

    speed_mps [k, t] is the speed along the path, negative when coming towards us.
    """

    begin_m: np.ndarray
    end_m: np.ndarray
    speed_mps: np.ndarray

    @property
    def inside(self) -> np.ndarray:
        """Whether a box is in the corridor, [k, t]."""
        return np.isfinite(self.begin_m)


def forecast(path: np.ndarray, boxes: Sequence[Box], pose: Pose) -> Occupancy:
    """Where boxes near the vehicle are in the corridor around a path [n, 2] (local frame).

    What is wholly behind the vehicle's centre now is left out: it is for that one to keep its distance,
    and to brake for it would bring it closer.
    """
    near = [box for box in boxes if np.hypot(box.x - pose.x, box.y - pose.y) < _RANGE_M]
    near = [box for box in near if local_to_ego(box.corners(), pose)[:, 0].max() > 0.0]
    times = np.arange(0.0, HORIZON_S + 1e-9, STEP_S)
    if not near:
        empty = np.zeros((0, len(times)))
        return Occupancy(empty, empty, empty)
    yaw = np.array([box.yaw for box in near])
    heading = np.stack([np.cos(yaw), np.sin(yaw)], axis=1)
    side = np.stack([-heading[:, 1], heading[:, 0]], axis=1)
    half = np.array([(box.length / 2, box.width / 2) for box in near])
    speed = np.array([box.speed_mps for box in near])
    outline = (
        _EDGE[None, :, :1] * half[:, None, :1] * heading[:, None]
        + _EDGE[None, :, 1:] * half[:, None, 1:] * side[:, None]
    )
    centre = np.array([(box.x, box.y) for box in near])
    moved = centre[:, None] + times[None, :, None] * (speed[:, None] * heading)[:, None]
    points = moved[:, :, None] + outline[:, None]
    s, d, tangent = project(path[::2], points)
    inside = (d.min(axis=-1) < CORRIDOR_HALF_M) & (d.max(axis=-1) > -CORRIDOR_HALF_M)
    inside &= s.max(axis=-1) > 0.0
    close = np.abs(d) < CORRIDOR_HALF_M + 1.0
    begin = np.where(close, s, np.inf).min(axis=-1)
    begin = np.where(np.isinf(begin), s.min(axis=-1), begin)
    along = np.sum(tangent[:, :, -1] * (speed[:, None] * heading)[:, None], axis=-1)
    return Occupancy(np.where(inside, begin, np.inf), s.max(axis=-1), along)


def project(path: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Arc length and lateral distance (right is positive) of points [..., 2], and the tangents there."""
    step = np.diff(path, axis=0)
    length = np.hypot(*step.T)
    arc = np.concatenate([[0.0], np.cumsum(length)])
    moving = length > 1e-6  # A path that ends at its last point twice has a direction still.
    direction = step[np.maximum.accumulate(np.where(moving, np.arange(len(step)), 0))]
    tangents = np.concatenate([direction, direction[-1:]])
    tangents = tangents / np.maximum(np.hypot(*tangents.T), 1e-9)[:, None]
    flat = points.reshape(-1, 2)
    squared = np.sum(path * path, axis=1) - 2.0 * flat @ path.T
    nearest = squared.argmin(axis=1)
    delta, tangent = flat - path[nearest], tangents[nearest]
    s = arc[nearest] + np.sum(delta * tangent, axis=1)
    d = tangent[:, 0] * delta[:, 1] - tangent[:, 1] * delta[:, 0]
    shape = points.shape[:-1]
    return s.reshape(shape), d.reshape(shape), tangent.reshape(*shape, 2)
