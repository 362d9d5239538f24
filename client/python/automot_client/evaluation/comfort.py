"""How smooth a drive was: accelerations and jerk from what the vehicle did at 20 Hz."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Speeds are averaged over a quarter of a second: the simulator's physics steps are no discomfort.
_WINDOW = 5


def comfort(
    speeds_mps: Sequence[float], yaw_rates_radps: Sequence[float], tick_s: float
) -> dict[str, float]:
    """Largest and root-mean-square acceleration, lateral acceleration (m/s2) and jerk (m/s3)."""
    speed = _smooth(np.asarray(speeds_mps, dtype=np.float64))
    lateral = speed * _smooth(np.asarray(yaw_rates_radps, dtype=np.float64))
    along = _smooth(np.diff(speed) / tick_s)
    jerk = np.diff(along) / tick_s
    found: dict[str, float] = {}
    for name, values in (
        ("acceleration_mps2", along),
        ("lateral_acceleration_mps2", lateral),
        ("jerk_mps3", jerk),
    ):
        values = values if len(values) else np.zeros(1)
        found[f"max_{name}"] = round(float(np.abs(values).max()), 3)
        found[f"rms_{name}"] = round(float(np.sqrt(np.mean(values * values))), 3)
    return found


def _smooth(values: np.ndarray) -> np.ndarray:
    if len(values) < _WINDOW:
        return values
    return np.convolve(values, np.ones(_WINDOW) / _WINDOW, mode="valid")
