"""What a driven route is worth, as the CARLA leaderboard counts it.

Driving score = route completion x product of a penalty per infraction. MetaDrive's maps have no
pedestrians, lights or stop signs, and a collision ends a route here (CARLA drives on): so a route has one
infraction at most, and what ends it costs the rest of the route too.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from automot_client.bridge.world import EpisodeEnd

# The leaderboard's coefficients. What has none there costs the rest of the route alone.
PENALTIES = {
    "collision_vehicle": 0.60,
    "collision_static": 0.65,
    "off_road": 1.0,
    "line_touched": 1.0,
    "blocked": 1.0,
    "timeout": 1.0,
}
COLLISIONS = ("collision_vehicle", "collision_static")
_KINDS = {
    EpisodeEnd.CRASH_VEHICLE: "collision_vehicle",
    EpisodeEnd.CRASH_OBJECT: "collision_static",
    EpisodeEnd.OFF_ROAD_YELLOW_LINE: "line_touched",
    EpisodeEnd.OFF_ROAD_WHITE_LINE: "line_touched",
    EpisodeEnd.OFF_ROAD_SIDEWALK: "off_road",
    EpisodeEnd.OFF_ROAD_LEFT_LANES: "off_road",
    EpisodeEnd.STANDING: "blocked",
    EpisodeEnd.HORIZON: "timeout",
    EpisodeEnd.TIME_UP: "timeout",
}


@dataclass(frozen=True)
class RouteResult:
    """One driven route. Completion and score are fractions; `infractions` counts by kind.

    plans: ticks, and of these how many were failed calls, were answers by the fallback, had which reason.
    wall_s is what the route took, simulator's start included.
    """

    seed: int
    outcome: str
    route_completion: float
    route_length_m: float
    driven_m: float
    seconds: float
    infractions: dict[str, int] = field(default_factory=dict)
    lateral_rms_m: float = 0.0
    speed_at_end_mps: float = 0.0
    standing_share: float = 0.0
    comfort: dict[str, float] = field(default_factory=dict)
    plans: dict[str, Any] = field(default_factory=dict)
    scene: dict[str, Any] = field(default_factory=dict)
    wall_s: float = 0.0

    @property
    def success(self) -> bool:
        """The destination was reached without an infraction."""
        return self.outcome == EpisodeEnd.ARRIVED.value and not self.infractions

    @property
    def driving_score(self) -> float:
        """Route completion x product of the penalties, 0 to 1."""
        score = self.route_completion
        for kind, count in self.infractions.items():
            score *= PENALTIES[kind] ** count
        return score

    def to_json(self) -> dict[str, Any]:
        """What a route's file holds."""
        return {
            **dataclasses.asdict(self),
            "success": self.success,
            "driving_score": round(self.driving_score, 4),
        }

    @staticmethod
    def from_json(values: dict[str, Any]) -> RouteResult:
        """Reads `to_json`; the derived figures are derived again."""
        names = {one.name for one in dataclasses.fields(RouteResult)}
        return RouteResult(**{name: value for name, value in values.items() if name in names})


def infractions_of(end: EpisodeEnd) -> dict[str, int]:
    """The infraction that an end is; none where the vehicle arrived."""
    return {_KINDS[end]: 1} if end in _KINDS else {}
