"""A driver without a model: pure pursuit of the near target point at a constant speed.

It makes recordings, and stands in for a planner in tests. It knows nothing of traffic.
"""

from __future__ import annotations

import math

import numpy as np

from automot_client.types import Control

WANTED_SPEED_MPS = 7.0
# Wheel angle per radian of bearing to a point about 8 m ahead, as a share of the full wheel angle.
_STEER_GAIN = 2.6
_THROTTLE_GAIN = 0.6


def pursue(
    target_points: np.ndarray, speed_mps: float, wanted_speed_mps: float = WANTED_SPEED_MPS
) -> Control:
    """Control towards the near target point ([2, 2], ego frame, metres)."""
    near = target_points[0]
    bearing = math.atan2(near[1], near[0])
    throttle = np.clip(_THROTTLE_GAIN * (wanted_speed_mps - speed_mps), 0.0, 1.0)
    return Control(
        steer=float(np.clip(_STEER_GAIN * bearing, -1.0, 1.0)), throttle=float(throttle), brake=0.0
    )
