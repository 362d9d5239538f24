"""From a planned trajectory to pedals and wheel, as the services do it (spec 5.2).

A port of common/control/trajectory_follower.h for a driver that plans without a service; a test holds
it to figures of that implementation.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from automot_client.types import Control

_SAMPLE_M = 0.1
_STANDSTILL_MPS = 0.4
_BRAKE_RATIO = 1.1
_SPEED_LIMIT_KMH = 35.0


class TrajectoryFollower:
    """Two PIDs made for 20 steps per second. Not safe for use by several threads."""

    def __init__(self) -> None:
        self._speed_errors = deque([0.0] * 20, maxlen=20)
        self._steer_errors: deque[float] = deque(maxlen=6)

    def step(self, route: np.ndarray, waypoints: np.ndarray, speed_mps: float) -> Control:
        """Control for a route [20, 2] and waypoints [6, 2] (ego frame, metres) at a speed."""
        throttle, brake = self._longitudinal(waypoints, speed_mps)
        steer = self._lateral(route, speed_mps)
        if speed_mps * 3.6 > _SPEED_LIMIT_KMH:
            throttle, brake = 0.0, 1.0
        return Control(steer, throttle, brake)

    def _longitudinal(self, waypoints: np.ndarray, speed_mps: float) -> tuple[float, float]:
        desired = 2.0 * float(np.hypot(*(waypoints[1] - waypoints[0])))
        brake = desired < _STANDSTILL_MPS or speed_mps / max(desired, 1e-5) > _BRAKE_RATIO
        error = min(max(desired - speed_mps, 0.0), 1.0)
        slope = error - self._speed_errors[-1]
        self._speed_errors.append(error)
        value = 1.75 * error + sum(self._speed_errors) / 20 + 2.0 * slope
        return (0.0, 1.0) if brake else (min(max(value, 0.0), 1.0), 0.0)

    def _lateral(self, route: np.ndarray, speed_mps: float) -> float:
        target = lookahead_point(route, speed_mps)
        heading = math.atan2(target[1], target[0])
        error = (heading - 2 * math.pi if heading >= math.pi else heading) * 2.0 / math.pi
        slope = error - self._steer_errors[-1] if self._steer_errors else 0.0
        self._steer_errors.append(error)
        mean = sum(self._steer_errors) / len(self._steer_errors)
        value = 3.118 * error + 0.6406067986034124 * mean + 1.3782508892109167 * slope
        return round(min(max(value, -1.0), 1.0), 3)


def lookahead_point(route: np.ndarray, speed_mps: float) -> np.ndarray:
    """The point [2] of the smoothed route that the wheels are turned to."""
    knots = np.concatenate([np.zeros((1, 2)), route]).astype(np.float32).astype(np.float64)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(knots, axis=0).T))])
    along = along + 1e-4 * np.arange(len(knots))
    count = max(0, math.ceil((along[-1] - _SAMPLE_M) / _SAMPLE_M))
    if count == 0:
        return knots[-1]
    wanted = min(max(0.9755321901954155 * speed_mps * 3.6 + 1.195, 24.0), 105.0)
    where = _SAMPLE_M * (1 + int(min(wanted, count - 1)))
    return np.array([_pchip(along, knots[:, axis], where) for axis in (0, 1)])


def _pchip(x: np.ndarray, y: np.ndarray, at: float) -> float:
    """Monotone cubic after Fritsch and Carlson, at one place."""
    h = np.diff(x)
    m = np.diff(y) / h
    i = int(np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(h) - 1))
    left, right = (_slope(h, m, k) for k in (i, i + 1))
    t = (at - x[i]) / h[i]
    return float(
        y[i] * (1 + 2 * t) * (1 - t) ** 2
        + y[i + 1] * t * t * (3 - 2 * t)
        + h[i] * (left * t * (1 - t) ** 2 - right * t * t * (1 - t))
    )


def _slope(h: np.ndarray, m: np.ndarray, k: int) -> float:
    if k == 0:
        return _end_slope(h[0], h[1], m[0], m[1])
    if k == len(h):
        return _end_slope(h[-1], h[-2], m[-1], m[-2])
    if m[k - 1] * m[k] <= 0.0:
        return 0.0
    before, after = 2 * h[k] + h[k - 1], h[k] + 2 * h[k - 1]
    return float((before + after) / (before / m[k - 1] + after / m[k]))


def _end_slope(h0: float, h1: float, m0: float, m1: float) -> float:
    slope = ((2 * h0 + h1) * m0 - h0 * m1) / (h0 + h1)
    if np.sign(slope) != np.sign(m0):
        return 0.0
    if np.sign(m0) != np.sign(m1) and abs(slope) > 3 * abs(m0):
        return float(3 * m0)
    return float(slope)
