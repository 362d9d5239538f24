"""Speed along the path: the intelligent driver model against the forecast, and a limit in curves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from automot_client.teacher.forecast import STEP_S, Occupancy
from automot_client.teacher.path import SPACING_M

PLAN_S = 3.0
_STEPS = round(PLAN_S / STEP_S)
_WINDOW = round(2.0 / STEP_S)


@dataclass(frozen=True)
class IdmOptions:
    """The driver: speeds in m/s, accelerations in m/s2, times in s, distances in m."""

    wanted_mps: float = 8.5
    acceleration_mps2: float = 2.5
    braking_mps2: float = 3.0
    hardest_mps2: float = 8.0
    gap_m: float = 3.0
    headway_s: float = 1.2
    lateral_mps2: float = 2.8
    curve_braking_mps2: float = 2.0


def idm_acceleration(
    options: IdmOptions, speed: float, wanted: float, gap: float, lead_speed: float
) -> float:
    """Acceleration towards a wanted speed behind a lead (gap infinite: none)."""
    free = 1.0 - (speed / max(wanted, 0.1)) ** 4
    closing = speed * (speed - lead_speed)
    brake = 2.0 * (options.acceleration_mps2 * options.braking_mps2) ** 0.5
    desired = options.gap_m + max(0.0, speed * options.headway_s + closing / brake)
    pressure = 0.0 if np.isinf(gap) else (desired / max(gap, 0.1)) ** 2
    return float(
        np.clip(
            options.acceleration_mps2 * (free - pressure),
            -options.hardest_mps2,
            options.acceleration_mps2,
        )
    )


def curve_limits(path: np.ndarray, options: IdmOptions) -> np.ndarray:
    """Highest speed [n] at each point of a path [n, 2], so that every later curve can be met."""
    smooth = max(1, round(2.0 / SPACING_M))
    step = path[smooth:] - path[:-smooth]
    turn = np.diff(np.unwrap(np.arctan2(step[:, 1], step[:, 0]))) / SPACING_M
    lateral = np.full(len(path), options.lateral_mps2)
    bend = np.zeros(len(path))
    bend[smooth // 2 + 1 : smooth // 2 + 1 + len(turn)] = np.abs(turn)
    limit = np.minimum(options.wanted_mps, np.sqrt(lateral / np.maximum(bend, 1e-6)))
    for i in range(len(limit) - 2, -1, -1):
        slowed = limit[i + 1] ** 2 + 2.0 * options.curve_braking_mps2 * SPACING_M
        limit[i] = min(limit[i], slowed**0.5)
    return limit


def roll_out(
    path: np.ndarray,
    occupancy: Occupancy,
    speed_mps: float,
    ego_length_m: float,
    options: IdmOptions,
) -> tuple[np.ndarray, np.ndarray]:
    """Distances and speeds [13] along the path at 0, 0.25, ... 3 s."""
    limits = curve_limits(path, options)
    distance, speed = np.zeros(_STEPS + 1), np.zeros(_STEPS + 1)
    speed[0] = speed_mps
    for i in range(_STEPS):
        gap, lead = _lead(occupancy, i, distance[i], speed[i], ego_length_m / 2)
        wanted = float(limits[min(int(distance[i] / SPACING_M), len(limits) - 1)])
        change = idm_acceleration(options, speed[i], wanted, gap, lead) * STEP_S
        speed[i + 1] = max(0.0, speed[i] + change)
        distance[i + 1] = distance[i] + STEP_S * (speed[i] + speed[i + 1]) / 2
    return distance, speed


def _lead(
    occupancy: Occupancy, i: int, here: float, speed: float, half_length: float
) -> tuple[float, float]:
    """Gap to, and speed of, what is first met from step i on; an infinite gap where nothing is.

    What enters the corridor only after we have passed does not count.
    """
    window = slice(i, i + _WINDOW + 1)
    begin, end = occupancy.begin_m[:, window], occupancy.end_m[:, window]
    ahead = STEP_S * np.arange(begin.shape[1])
    passed = here + speed * ahead - half_length > end + 1.0
    passed[:, 0] = end[:, 0] < here
    counts = np.isfinite(begin) & ~passed & (end > here)
    if not counts.any():
        return float("inf"), 0.0
    gaps = np.where(counts, begin, np.inf)
    which = np.unravel_index(int(np.argmin(gaps)), gaps.shape)
    lead_speed = max(0.0, float(occupancy.speed_mps[:, window][which]))
    return float(gaps[which]) - here - half_length, lead_speed
