"""The record of one route while it is driven, and the page that is made of it."""

from __future__ import annotations

import dataclasses
import shutil
import time
from typing import Any

import numpy as np

from automot_client import report
from automot_client.bridge.projection import CameraModel
from automot_client.bridge.world import TICK_S, World
from automot_client.driving.recording import RunRecorder
from automot_client.evaluation.route_job import RouteJob
from automot_client.evaluation.scoring import RouteResult
from automot_client.types import ServerInfo

_FRAME_EVERY_TICKS = 2


class RouteRecord:
    """Records as the demo does; keeps the page alone. Not safe for use by several threads."""

    def __init__(self, job: RouteJob, info: ServerInfo, camera: CameraModel) -> None:
        self._job, self._info, self._camera = job, info, camera
        self._folder = job.out / "routes" / f".seed-{job.seed:06d}.record"
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._recorder = RunRecorder(self._folder)
        self._began = time.monotonic()
        self._started = time.strftime("%Y-%m-%d %H:%M:%S")
        self._ticks = 0

    def begin(self, world: World) -> None:
        """Keeps the map."""
        state = world.state()
        self._recorder.add_map(state.episode, world.road_map, world.route.points)

    def wants_frame(self, tick: int) -> bool:
        """True where the tick's picture goes into the video."""
        return self._job.video and tick % _FRAME_EVERY_TICKS == 0

    def add(self, tick: int, record: dict[str, Any], picture: bytes, sweep: np.ndarray) -> None:
        """Takes a tick."""
        self._recorder.add_tick(record)
        if record["frame"]:
            self._recorder.add_frame(tick, picture, sweep)
        self._ticks = tick + 1

    def finish(self, world: World, result: RouteResult) -> None:
        """Writes the page, and removes what it was made of."""
        self._recorder.finish(self._run(world, result))
        report.write(self._folder)
        (self._folder / "report.html").replace(self._job.page_file)
        shutil.rmtree(self._folder)

    def _run(self, world: World, result: RouteResult) -> dict[str, Any]:
        settings = self._job.settings
        episode = {
            "number": 0,
            "seed": result.seed,
            "begin_s": 0.0,
            "end_s": result.seconds,
            "end": result.outcome,
            "route_completion": result.route_completion,
            "route_length_m": result.route_length_m,
        }
        return {
            "started": self._started,
            "options": {
                **dataclasses.asdict(settings),
                "seed": result.seed,
                "pace": "max",
                "planning_rate_hz": 1.0 / TICK_S,
            },
            "world": dataclasses.asdict(world.options),
            "camera": dataclasses.asdict(self._camera),
            "server": dataclasses.asdict(self._info),
            "ticks": self._ticks,
            "wall_s": time.monotonic() - self._began,
            "reset_wall_s": 0.0,
            "missed_ticks": 0,
            "episodes": [episode],
            "events": [],
        }
