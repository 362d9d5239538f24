"""The record of a run on disk, from which the report is made.

run.json         how the run was made, its ends and events
ticks.jsonl      one line per tick: world, answer, latency
refreshes.jsonl  one line per announced context snapshot
maps/N.npz       static scene and route of episode N
frames/T.jpg     camera picture of tick T; frames/T.npy its LiDAR cells [n, 2] (ego frame, metres)
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import numpy as np

from automot_client.bridge.road_map import RoadMap
from automot_client.bridge.world import WorldState
from automot_client.driving.planner_port import Refresh
from automot_client.types import Control, Plan

LIDAR_CELL_M = 0.25
_LIDAR_MIN_Z_M = 0.2


class RunRecorder:
    """Writes a run. File writes happen on a thread of their own, off the tick."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("frames", "maps"):
            shutil.rmtree(folder / name, ignore_errors=True)
            (folder / name).mkdir(parents=True)
        self._ticks: IO[str] = (folder / "ticks.jsonl").open("w")
        self._refreshes: IO[str] = (folder / "refreshes.jsonl").open("w")
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="recorder")
        self._last: Future[Any] | None = None

    def add_map(self, episode: int, road_map: RoadMap, route: np.ndarray) -> None:
        """Keeps the static scene of an episode; route [n, 2] in the local frame."""
        arrays = {
            field.name: getattr(road_map, field.name) for field in dataclasses.fields(road_map)
        }
        self._submit(
            np.savez_compressed, self.folder / "maps" / f"{episode}.npz", route=route, **arrays
        )

    def add_frame(self, tick: int, jpeg: bytes, lidar: np.ndarray) -> None:
        """Keeps picture and LiDAR of a tick."""
        self._submit(self._write_frame, tick, jpeg, lidar)

    def add_tick(self, record: dict[str, Any]) -> None:
        """Keeps one tick."""
        self._submit(lambda: self._ticks.write(json.dumps(record) + "\n"))

    def add_refreshes(self, refreshes: list[Refresh]) -> None:
        """Keeps announced snapshots."""
        if refreshes:
            lines = [json.dumps(dataclasses.asdict(refresh)) + "\n" for refresh in refreshes]
            self._submit(self._refreshes.writelines, lines)

    def finish(self, run: dict[str, Any]) -> None:
        """Writes run.json and closes the record."""
        self._pool.shutdown(wait=True)
        if self._last is not None:
            self._last.result()
        self._ticks.close()
        self._refreshes.close()
        (self.folder / "run.json").write_text(json.dumps(run, indent=2) + "\n")

    def _submit(self, call: Any, *arguments: Any, **named: Any) -> None:
        if self._last is not None and self._last.done():
            self._last.result()  # A full disk must end the run, not be lost.
        self._last = self._pool.submit(call, *arguments, **named)

    def _write_frame(self, tick: int, jpeg: bytes, lidar: np.ndarray) -> None:
        (self.folder / "frames" / f"{tick:06d}.jpg").write_bytes(jpeg)
        cells = np.floor(lidar[lidar[:, 2] > _LIDAR_MIN_Z_M, :2] / LIDAR_CELL_M)
        np.save(
            self.folder / "frames" / f"{tick:06d}.npy",
            (np.unique(cells, axis=0) + 0.5).astype(np.float16) * np.float16(LIDAR_CELL_M),
        )


def tick_record(
    state: WorldState,
    plan: Plan | None,
    applied: Control,
    *,
    tick: int,
    wall_s: float,
    latency_ms: float,
    error: str | None,
    has_frame: bool,
) -> dict[str, Any]:
    """The JSON form of a tick: the world before it, the answer, what was applied."""
    pose = state.pose
    return {
        "tick": tick,
        "time_us": state.time_us,
        "wall_s": round(wall_s, 4),
        "episode": state.episode,
        "pose": [round(v, 4) for v in (pose.x, pose.y, pose.yaw)],
        "speed_mps": round(state.speed_mps, 3),
        "target_points": [[round(v, 3) for v in p] for p in state.target_points.tolist()],
        "route_revision": state.route_revision,
        "route_completion": round(state.route_completion, 4),
        "lateral_error_m": round(state.lateral_error_m, 3),
        "vehicles": [
            [round(v, 3) for v in (b.x, b.y, b.yaw, b.length, b.width, b.height)]
            for b in state.vehicles
        ],
        "frame": has_frame,
        "applied": [applied.steer, applied.throttle, applied.brake],
        "latency_ms": round(latency_ms, 3),
        "error": error,
        "plan": plan_record(plan) if plan else None,
    }


def plan_record(plan: Plan) -> dict[str, Any]:
    """The JSON form of an answer."""
    return {
        "sequence": plan.sequence,
        "route": _rounded(plan.route),
        "waypoints": _rounded(plan.waypoints),
        "control": dataclasses.asdict(plan.control) if plan.control else None,
        "decision": [dataclasses.asdict(slot) for slot in plan.decision],
        "context_decision": [dataclasses.asdict(slot) for slot in plan.context_decision],
        "decision_agreement": plan.decision_agreement,
        "decision_consistency": plan.decision_consistency,
        "snapshot": dataclasses.asdict(plan.snapshot),
        "reasons": sorted(plan.reasons),
        "staleness_s": plan.staleness_s,
        "version_gap": plan.version_gap,
        "context_travel_m": plan.context_travel_m,
        "stage_seconds": plan.stage_seconds,
    }


def _rounded(points: np.ndarray) -> list[list[float]]:
    return [[float(value) for value in point] for point in np.round(points, 3)]
