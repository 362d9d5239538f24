"""Fixtures of the Python tests. They need the installed package (`pip install ./client/python[test]`),
neither the simulator nor a server."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from automot_client.bridge.road_map import LaneBorder, LaneShape, LineKind, RoadMap


@pytest.fixture
def straight_road() -> RoadMap:
    """One lane of 4 m along x from -50 to 150 m, kerbs on both sides at y = -2 and y = 2."""
    x = np.arange(-50.0, 151.0, 5.0)

    def border(y: float) -> LaneBorder:
        return LaneBorder(np.stack([x, np.full_like(x, y)], axis=1), LineKind.SIDE, yellow=False)

    return RoadMap.from_lanes([LaneShape(border(-2.0), border(2.0))])


def tick_record(tick: int, **changes: object) -> dict:
    """A tick as the recorder writes it: version 1 + tick // 10, staleness 0.05 s per tick since."""
    record: dict = {
        "tick": tick,
        "time_us": tick * 50_000,
        "wall_s": tick * 0.05,
        "episode": 0,
        "pose": [tick * 0.35, 0.0, 0.0],
        "speed_mps": 7.0,
        "target_points": [[8.0, 0.0], [20.0, 0.5]],
        "route_revision": 1,
        "route_completion": tick / 100,
        "lateral_error_m": 0.1,
        "vehicles": [[tick * 0.35 + 15.0, 1.0, 0.1, 4.5, 1.9, 1.4]],
        "frame": False,
        "applied": [0.0, 0.5, 0.0],
        "latency_ms": 10.0 + tick,
        "error": None,
        "plan": {
            "sequence": tick + 1,
            "route": [[float(i), 0.0] for i in range(1, 21)],
            "waypoints": [[3.5 * i, 0.0] for i in range(1, 7)],
            "control": {"steer": 0.0, "throttle": 0.5, "brake": 0.0},
            "decision": [{"time_us": 0, "action": "KEEP", "text": "keep", "probability": 0.7}],
            "context_decision": [
                {"time_us": 0, "action": "SLOW", "text": "slow", "probability": 0.6}
            ],
            "decision_agreement": "DISAGREE",
            "decision_consistency": "CONSISTENT",
            "snapshot": {"session": "s", "episode": 1, "epoch": 7, "version": 1 + tick // 10},
            "reasons": [],
            "staleness_s": 0.05 * (tick % 10),
            "version_gap": 0,
            "context_travel_m": 0.1,
            "stage_seconds": {"ingest": 0.001, "total": 0.02},
        },
    }
    record.update(changes)
    return record


@pytest.fixture
def recorded_run(tmp_path: Path, straight_road: RoadMap) -> Path:
    """A run of 20 ticks: tick 5 failed, tick 6 is a fallback without context, two frames, one crash."""
    ticks = [tick_record(i) for i in range(20)]
    ticks[5].update(plan=None, error="DEADLINE_EXCEEDED: too late")
    ticks[6]["plan"].update(
        reasons=["FALLBACK", "NO_CONTEXT"],
        staleness_s=None,
        snapshot={"session": "s", "episode": 1, "epoch": 0, "version": 0},
    )
    (tmp_path / "frames").mkdir()
    (tmp_path / "maps").mkdir()
    for tick in (0, 2):
        ticks[tick]["frame"] = True
        Image.new("RGB", (256, 128), (90, 90, 90)).save(tmp_path / "frames" / f"{tick:06d}.jpg")
        np.save(tmp_path / "frames" / f"{tick:06d}.npy", np.array([[5.0, 2.0]], dtype=np.float16))
    np.savez(
        tmp_path / "maps" / "0.npz",
        route=np.stack([np.arange(0.0, 100.0), np.zeros(100)], axis=1),
        surfaces=straight_road.surfaces,
        markings=straight_road.markings,
        markings_yellow=straight_road.markings_yellow,
    )
    _write_lines(tmp_path / "ticks.jsonl", ticks)
    _write_lines(tmp_path / "refreshes.jsonl", [{"refresh_s": 0.1}, {"refresh_s": 0.3}])
    (tmp_path / "run.json").write_text(json.dumps(_run_record()))
    return tmp_path


def _write_lines(path: Path, records: list[dict]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def _run_record() -> dict:
    episode = {
        "number": 0,
        "seed": 3,
        "begin_s": 0.0,
        "end_s": 0.5,
        "end": "crash_vehicle",
        "route_completion": 0.4,
        "route_length_m": 200.0,
    }
    second = {
        **episode,
        "number": 1,
        "begin_s": 0.5,
        "end_s": 1.0,
        "end": "time_up",
        "route_completion": 0.1,
    }
    return {
        "started": "2026-01-01 00:00:00",
        "options": {
            "planning_rate_hz": 20.0,
            "reasoning_rate_hz": 2.0,
            "pace": "max",
            "seed": 3,
            "target_point_rule": "route_distance:8,20",
        },
        "world": {"traffic_density": 0.1, "blocks": 4},
        "camera": {"width": 512, "height": 256, "fov_deg": 110.0, "x_m": -1.5, "z_m": 2.0},
        "server": {
            "model_revision": "ab" * 16,
            "weights_trained": False,
            "lane": "shared_memory",
            "target_point_rule": "",
        },
        "ticks": 20,
        "wall_s": 2.0,
        "missed_ticks": 0,
        "episodes": [episode, second],
        "events": [
            {"at_s": 0.4, "what": "reasoning frozen"},
            {"at_s": 0.6, "what": "reasoning goes on"},
        ],
    }
