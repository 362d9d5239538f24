"""GNSS to metres: the Mercator formula on a sphere around a map's reference, as CARLA computes GNSS.

The plane is CARLA's: x east, y SOUTH. The reference is not told to an agent, but every point of a global
plan comes in both forms, and one pair determines it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_EARTH_RADIUS_M = 6378137.0
_MAX_MISFIT_M = 1.0
_NEWTON_STEPS = 8  # Each doubles the digits; three are enough for a map of 100 km.


@dataclass(frozen=True)
class GeoReference:
    """Where the local frame's origin lies, degrees."""

    latitude_deg: float
    longitude_deg: float


def gnss_to_local(
    latitude_deg: float, longitude_deg: float, reference: GeoReference
) -> tuple[float, float]:
    """Metres east and south of the reference."""
    scale = math.cos(math.radians(reference.latitude_deg)) * _EARTH_RADIUS_M
    east = scale * math.radians(longitude_deg - reference.longitude_deg)
    north = scale * (
        _mercator(math.radians(latitude_deg)) - _mercator(math.radians(reference.latitude_deg))
    )
    return east, -north


def solve_reference(latitude_deg: float, longitude_deg: float, x: float, y: float) -> GeoReference:
    """The reference for which a GNSS position lies at (x, y) metres."""
    latitude = math.radians(latitude_deg)
    origin = latitude + y / _EARTH_RADIUS_M
    for _ in range(_NEWTON_STEPS):
        span = _mercator(latitude) - _mercator(origin)
        misfit = math.cos(origin) * _EARTH_RADIUS_M * span + y
        origin += misfit / (_EARTH_RADIUS_M * (1.0 + math.sin(origin) * span))
    scale = math.cos(origin) * _EARTH_RADIUS_M
    return GeoReference(math.degrees(origin), longitude_deg - math.degrees(x / scale))


def reference_of_plan(gps_plan: Sequence[Any] | None, world_plan: Sequence[Any]) -> GeoReference:
    """The reference of a leaderboard's plan: `({'lat', 'lon', 'z'}, option)` and `(transform, option)`.

    ValueError where the plan is empty or its two forms do not belong together.
    """
    if not gps_plan or len(gps_plan) != len(world_plan):
        raise ValueError(
            f"global plan: {len(gps_plan or ())} GNSS points for {len(world_plan)} of the map"
        )
    first = gps_plan[0][0], world_plan[0][0].location
    reference = solve_reference(first[0]["lat"], first[0]["lon"], first[1].x, first[1].y)
    last, location = gps_plan[-1][0], world_plan[-1][0].location
    x, y = gnss_to_local(last["lat"], last["lon"], reference)
    misfit = math.hypot(x - location.x, y - location.y)
    if not misfit <= _MAX_MISFIT_M:
        raise ValueError(
            f"global plan: its last point is {misfit:.1f} m from where its GNSS form lies, "
            f"limit {_MAX_MISFIT_M} m; set geo_reference in the agent's configuration"
        )
    return reference


def _mercator(latitude: float) -> float:
    return math.log(math.tan(math.pi / 4 + latitude / 2))
