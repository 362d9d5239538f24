"""Unscented Kalman filter over position, heading and speed: GNSS, compass and speed to an ego pose.

A port of `automot::control::PoseFilter`, whose header says why mean and covariance are formed from
differences to the central point. Both are held to tests/data/carla/pose_filter.json.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from automot_client.geometry import Pose
from automot_client.types import Control

STEP_S = 0.05

# Bicycle: distances from the centre of mass to the axles, steering and pedals as identified for CARLA.
_FRONT_AXLE_M, _REAR_AXLE_M = -0.090769015, 1.4178275
_WHEEL_PER_STEER_RAD = 0.36848336
_BRAKE_MPS2, _THROTTLE_MPS2 = -4.952399, 0.5633837

_INITIAL_VARIANCE = np.diag([0.5, 0.5, 1e-6, 1e-6])
_MEASUREMENT_VARIANCE = np.diag([0.5, 0.5, 1e-15, 1e-15])
_PROCESS_VARIANCE = np.diag([1e-4, 1e-4, 1e-3, 1e-3])

_ALPHA_SQUARED, _BETA = 1e-10, 2.0
_SPREAD_SQUARED = 4 * _ALPHA_SQUARED
_OUTER_WEIGHT = 1.0 / (2.0 * _SPREAD_SQUARED)
_CENTRE_EXTRA = 1.0 - _ALPHA_SQUARED + _BETA


@dataclass(frozen=True)
class VehicleState:
    """What the sensors say, or what the filter believes: local frame, metres, radians, m/s."""

    pose: Pose
    speed_mps: float


class PoseFilter:
    """One vehicle's filter. Not thread-safe."""

    def __init__(self) -> None:
        self.started = False
        self._state = np.zeros(4)  # x, y, yaw, speed
        self._covariance = np.zeros((4, 4))

    @property
    def state(self) -> VehicleState:
        """The estimate; all zero before the first usable measurement."""
        x, y, yaw, speed = (float(value) for value in self._state)
        return VehicleState(Pose(x, y, yaw), speed)

    def step(self, measured: VehicleState, applied: Control) -> VehicleState:
        """One tick of 0.05 s: predicts under `applied`, the command since the last tick, then corrects.

        The first measurement is returned as it is. One with a number that is not finite is not used: the
        tick is a prediction alone.
        """
        pose = measured.pose
        vector = np.array([pose.x, pose.y, pose.yaw, measured.speed_mps])
        usable = bool(np.isfinite(vector).all())
        if self.started:
            self._predict(applied)
            if usable:
                self._correct(vector)
        elif usable:
            self.started = True
            self._state = _wrapped(vector)
            self._covariance = _INITIAL_VARIANCE.copy()
        return self.state

    def _predict(self, applied: Control) -> None:
        origin = np.array([self._state[0], self._state[1], 0.0, 0.0])
        centre = (
            self._state - origin
        )  # Near zero: the result does not depend on where the origin lies.
        moved = advance_bicycle(centre, applied, STEP_S)
        offsets = math.sqrt(_SPREAD_SQUARED) * _cholesky(self._covariance).T
        points = _wrapped(centre + np.concatenate([offsets, -offsets]))
        differences = _difference(advance_bicycle(points, applied, STEP_S), moved)
        shift = _OUTER_WEIGHT * differences.sum(axis=0)
        spread = _OUTER_WEIGHT * differences.T @ differences
        self._covariance = (
            spread + (_CENTRE_EXTRA - 1.0) * np.outer(shift, shift) + _PROCESS_VARIANCE
        )
        self._state = _wrapped(moved + shift) + origin

    def _correct(self, measured: np.ndarray) -> None:
        innovation = self._covariance + _MEASUREMENT_VARIANCE
        gain = np.linalg.solve(innovation, self._covariance).T
        self._state = _wrapped(self._state + gain @ _difference(measured, self._state))
        # (I - K) P (I - K)^T + K R K^T stays positive where the short form P - K P would not.
        rest = np.eye(4) - gain
        self._covariance = rest @ self._covariance @ rest.T + gain @ _MEASUREMENT_VARIANCE @ gain.T


def advance_bicycle(states: np.ndarray, command: Control, dt_s: float) -> np.ndarray:
    """States [..., 4] (x, y, yaw, speed) after a step; a brake above 0 brakes fully."""
    x, y, yaw, speed = np.moveaxis(states, -1, 0)
    acceleration = _BRAKE_MPS2 if command.brake > 0.0 else _THROTTLE_MPS2 * command.throttle
    wheel = math.tan(_WHEEL_PER_STEER_RAD * command.steer)
    slip = math.atan(_REAR_AXLE_M / (_FRONT_AXLE_M + _REAR_AXLE_M) * wheel)
    step = speed * dt_s
    return np.stack(
        [
            x + step * np.cos(yaw + slip),
            y + step * np.sin(yaw + slip),
            yaw + step / _REAR_AXLE_M * math.sin(slip),
            np.maximum(speed + acceleration * dt_s, 0.0),
        ],
        axis=-1,
    )


def wrap_angle(angle: float) -> float:
    """The same direction in [-pi, pi]."""
    return math.remainder(angle, 2 * math.pi)


def _wrapped(states: np.ndarray) -> np.ndarray:
    states = states.copy()
    states[..., 2] -= 2 * np.pi * np.rint(states[..., 2] / (2 * np.pi))
    return states


def _difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return _wrapped(a - b)


def _cholesky(matrix: np.ndarray) -> np.ndarray:
    """Lower triangular root; a pivot that rounding has made not positive gives a zero column."""
    lower = np.zeros((4, 4))
    for j in range(4):
        pivot = matrix[j, j] - lower[j, :j] @ lower[j, :j]
        if not pivot > 0.0:
            continue
        lower[j, j] = math.sqrt(pivot)
        lower[j + 1 :, j] = (matrix[j + 1 :, j] - lower[j + 1 :, :j] @ lower[j, :j]) / lower[j, j]
    return lower
