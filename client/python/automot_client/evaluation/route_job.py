"""What is driven and how: the settings of a closed-loop run, and one of its routes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automot_client.bridge.scene import draw_scene
from automot_client.bridge.world import WorldOptions
from automot_client.session_options import SessionOptions

# Of a frozen context: the session never asks for a second one within a route, and none expires.
_FROZEN_RATE_HZ = 0.01
_FROZEN_S = 600.0
CONTEXTS = ("live", "frozen")


@dataclass(frozen=True)
class DriveSettings:
    """Everything that shapes a score; kept in the run's config.json, compared when a run goes on.

    staleness_s: simulated latency of the slow path. context: 'live', or 'frozen' at a route's first.
    """

    driver: str = "service"
    split: str = "validation"
    density: float = 0.1
    accidents: float = 0.0
    sensors: str = "full"
    context: str = "live"
    staleness_s: float = 0.0
    reasoning_rate_hz: float = 4.0
    drop_frames: float = 0.0
    target_point_rule: str = WorldOptions.target_point_rule
    model_revision: str = ""

    def world(self, seed: int) -> WorldOptions:
        """The scene of a seed: its own map, this run's traffic."""
        return dataclasses.replace(
            draw_scene(seed, self.target_point_rule),
            traffic_density=self.density,
            accident_probability=self.accidents,
        )

    def session(self) -> SessionOptions:
        """The session of a route. A context that is old on purpose is used, not fallen back from."""
        common: dict[str, Any] = {"time_mode": "stepped", "run_controller": True}
        if self.sensors != "full":
            common["on_missing_modality"] = "flag"
        if self.context == "frozen":
            limits: dict[str, Any] = dict.fromkeys(
                ("soft_staleness_s", "hard_staleness_s", "retention_s"), _FROZEN_S
            )
            return SessionOptions(
                reasoning_rate_hz=_FROZEN_RATE_HZ, on_expired="answer", **limits, **common
            )
        if self.staleness_s > 0.0:
            oldest = self.staleness_s + 1.0 / self.reasoning_rate_hz + 0.1
            common |= {"simulated_latency_s": self.staleness_s, "on_expired": "answer"}
            # Nothing can come before that: the vehicle stands until it does.
            common["on_no_context"] = "fallback"
            common |= {"soft_staleness_s": max(0.5, oldest), "hard_staleness_s": max(1.0, oldest)}
        return SessionOptions(reasoning_rate_hz=self.reasoning_rate_hz, **common)


@dataclass(frozen=True)
class RouteJob:
    """One route of a run."""

    out: Path
    seed: int
    settings: DriveSettings
    service: str = ""
    video: bool = False
    page: bool = True

    @property
    def result_file(self) -> Path:
        """Where the route's result lies once it is driven."""
        return self.out / "routes" / f"seed-{self.seed:06d}.json"

    @property
    def page_file(self) -> Path:
        """The route's page."""
        return self.out / "routes" / f"seed-{self.seed:06d}.html"
